/** The last good lists of sources of backends, on the disk and for the next process. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import type { DiscoverySettings } from '../../src/config/discovery-settings.ts';
import type { BackendSettings } from '../../src/config/settings.ts';
import { backendAt } from '../../src/control/discovery/found-backends.ts';
import { KeptLists } from '../../src/control/discovery/kept-lists.ts';
import {
  decodeLists,
  encodeLists,
  LARGEST_LISTS_BYTES,
} from '../../src/control/discovery/list-format.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { recordLog } from './fixtures.ts';

const DAY_MS = 86_400_000;
const NOW = Date.parse('2026-05-01T00:00:00Z');

function fromFile(file: string, more: Partial<DiscoverySettings> = {}): DiscoverySettings {
  const source = { kind: 'file', file } as const;
  return { source, minBackends: 1, mayBeTls: false, basePath: '', serverName: null, ...more };
}

function fromConsul(token: string): DiscoverySettings {
  const address = { tls: false, host: '127.0.0.1', port: 8500, socketPath: '' };
  const endpoint = {
    url: 'http://127.0.0.1:8500',
    ...address,
    caFile: '',
    certFile: '',
    keyFile: '',
  };
  const more = { service: 'web', datacenter: '', tags: [], token, tls: false };
  return { ...fromFile('/x'), source: { kind: 'consul', endpoint, ...more } };
}

function listOf(...hosts: string[]): BackendSettings[] {
  return hosts.map((host) => backendAt({ tls: false, host, port: 8080, basePath: '' }));
}

function open(path: string | undefined, more: { mayWrite?: boolean; handedOn?: string } = {}) {
  const log = recordLog();
  let now = NOW;
  const { mayWrite = true, handedOn } = more;
  const options = { path, mayWrite: () => mayWrite, log, handedOn, now: () => now };
  return {
    log,
    lists: new KeptLists(options),
    passes: (ms: number) => {
      now += ms;
    },
  };
}

test('what is kept is there at the next start: each backend as it was, and for nobody else to read', async () => {
  const path = join(temporaryFolder('kept'), 'state.found.json');
  const first = open(path);
  const list = [
    ...listOf('10.0.0.1', 'fd00::1'),
    backendAt({
      tls: true,
      host: '10.0.0.2',
      port: 443,
      basePath: '/app',
      authority: 'app.test:8443',
      weight: 7,
      isBackup: true,
    }),
  ];
  first.lists.keep('app', fromFile('/a'), list);
  first.lists.keep('none', fromFile('/b'), []);
  await first.lists.flush();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const second = open(path);
  expect(second.lists.of('app', fromFile('/a'))).toEqual({
    of: expect.any(String),
    at: NOW,
    list,
  });
  // How often it is asked, and how many are enough, changes nothing of what it said.
  expect(second.lists.of('app', fromFile('/a', { minBackends: 9 }))?.list).toHaveLength(3);
  expect(second.lists.of('app', fromFile('/other'))).toBeUndefined();
  expect(second.lists.of('app', fromFile('/a', { basePath: '/v2' }))).toBeUndefined();
  expect(second.lists.of('other', fromFile('/a'))).toBeUndefined();
  expect(second.lists.of('none', fromFile('/b'))).toBeUndefined();
  expect(second.log.events()).toEqual([]);
});

test('another token asks the same server the same thing, and is not to be found in the file', async () => {
  const path = join(temporaryFolder('kept'), 'f.json');
  const { lists } = open(path);
  lists.keep('web', fromConsul('hush'), listOf('10.0.0.1'));
  await lists.flush();
  expect(readFileSync(path, 'utf8')).not.toContain('hush');
  expect(open(path).lists.of('web', fromConsul('other'))?.list).toHaveLength(1);
});

test('the next process of an upgrade has them without a file, and by word before the file', async () => {
  const path = join(temporaryFolder('kept'), 'f.json');
  const alone = open(undefined);
  alone.lists.keep('app', fromFile('/a'), listOf('10.0.0.1'));
  const told = alone.lists.text();
  expect(open(undefined, { handedOn: told }).lists.of('app', fromFile('/a'))?.list).toHaveLength(1);
  const old = open(path);
  old.lists.keep('app', fromFile('/a'), listOf('10.0.0.1', '10.0.0.2'));
  await old.lists.flush();
  expect(open(path, { handedOn: told }).lists.of('app', fromFile('/a'))?.list).toHaveLength(1);
  // What another version says, and this one can't read.
  expect(open(path, { handedOn: '[]' }).lists.of('app', fromFile('/a'))?.list).toHaveLength(2);
});

test('it is not written by who may not, nor for what stays the same, and a change soon', async () => {
  vi.useFakeTimers();
  try {
    const path = join(temporaryFolder('kept'), 'f.json');
    const other = open(path, { mayWrite: false });
    other.lists.keep('app', fromFile('/a'), listOf('10.0.0.1'));
    await other.lists.flush();
    expect(existsSync(path)).toBe(false);
    const { lists, passes } = open(path);
    lists.keep('app', fromFile('/a'), listOf('10.0.0.1'));
    lists.keep('app', fromFile('/a'), listOf('10.0.0.2'));
    await vi.advanceTimersByTimeAsync(500);
    await vi.waitFor(() => expect(readFileSync(path, 'utf8')).toContain('10.0.0.2'));
    await lists.flush();
    const { ino } = statSync(path);
    for (let round = 0; round < 20; round++) {
      passes(1_000);
      lists.keep('app', fromFile('/a'), listOf('10.0.0.2'));
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(statSync(path).ino).toBe(ino);
    // The time of the last answer is there when it ends.
    await lists.flush();
    expect(open(path).lists.of('app', fromFile('/a'))?.at).toBe(NOW + 20_000);
    lists.forget('app');
    await lists.flush();
    expect(open(path).lists.of('app', fromFile('/a'))).toBeUndefined();
  } finally {
    vi.useRealTimers();
  }
});

test('a file that can not be read or written is said once, and stops nothing', async () => {
  const path = join(temporaryFolder('kept'), 'f.json');
  writeFileSync(path, '{"version":1,"po');
  const { lists, log } = open(path);
  expect(log.events()).toEqual(['discovery.not_kept']);
  lists.keep('app', fromFile('/a'), listOf('10.0.0.1'));
  await lists.flush();
  expect(open(path).lists.of('app', fromFile('/a'))?.list).toHaveLength(1);
  const nowhere = open(join(path, 'below', 'f.json'));
  nowhere.lists.keep('app', fromFile('/a'), listOf('10.0.0.1'));
  await nowhere.lists.flush();
  await nowhere.lists.flush();
  expect(nowhere.log.events()).toEqual(['discovery.not_kept']);
});

test.each<[string, unknown]>([
  ['no URL', { url: 'javascript:1' }],
  ['a URL that is not normal', { url: 'http://10.0.0.1:80' }],
  ['a name that would end a header', { url: 'http://10.0.0.1', name: 'a\r\nX: y' }],
  ['a weight of nobody', { url: 'http://10.0.0.1', weight: -1 }],
  ['nothing', null],
])('%s is left out, and the others are there', (_what, bad) => {
  const good = { url: 'http://10.0.0.2' };
  const pools = { app: { of: 'x', at: NOW, backends: [bad, good, good] }, bad: { of: 1 } };
  const lists = decodeLists(JSON.stringify({ version: 1, pools }), NOW);
  expect([...(lists ?? [])].map(([name, { list }]) => [name, list.map(({ url }) => url)])).toEqual([
    ['app', ['http://10.0.0.2']],
  ]);
});

test('the file is bounded, the pools that were heard last are in it, and old ones go', () => {
  const many = listOf(...Array.from({ length: 1_000 }, (_, n) => `10.0.${n >> 8}.${n & 255}`)).map(
    (one) => ({ ...one, authority: `${'a'.repeat(60)}.test` }),
  );
  const pools = Array.from({ length: 45 }, (_, n) => `pool-${n}`);
  const lists = new Map(pools.map((name, n) => [name, { of: 'x', at: NOW - n, list: many }]));
  lists.set('old', { of: 'x', at: NOW - 31 * DAY_MS, list: listOf('10.0.0.1') });
  const { text, tooLarge } = encodeLists(lists, NOW);
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(LARGEST_LISTS_BYTES);
  const known = [...(decodeLists(text, NOW)?.keys() ?? [])];
  expect(known).toEqual(pools.slice(0, known.length));
  expect(known.length).toBeGreaterThan(30);
  expect(tooLarge).toEqual(pools.slice(known.length));
});
