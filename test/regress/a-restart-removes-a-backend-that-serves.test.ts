/**
 * A backend was removed by the API, then from the config, and later listed again: it served. The next restart took it away, for the
 * state file still said that it is removed: what a reload makes of the changes was in force, and nowhere else.
 */
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Settings } from '../../src/config/settings.ts';
import { Drains } from '../../src/control/drains.ts';
import { Operator } from '../../src/control/operator.ts';
import { Registry } from '../../src/control/registry.ts';
import { KeptState } from '../../src/control/state/kept-state.ts';
import { readStateFile } from '../../src/control/state/state-file.ts';
import { backend, poolSettings, recordLog, settings } from '../control/fixtures.ts';
import { loaded, type Running, running } from '../control/running.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const A = 'http://127.0.0.1:1';
const B = 'http://127.0.0.1:2';
const WEB = poolSettings('web', { backends: [backend(A), backend(B)] });

async function reload(the: Running, to: Settings): Promise<void> {
  the.next = loaded(to);
  expect((await the.call('POST', '/reload')).json).toMatchObject({ changed: true });
}

async function end({ fairlead }: Running): Promise<void> {
  fairlead.kill();
  await fairlead.exited;
}

async function urls({ call }: Running, pool = 'default'): Promise<string[]> {
  const { json } = await call('GET', `/pools/${pool}/backends`);
  return (json as { url: string }[]).map(({ url }) => url);
}

describe('a backend that was removed, left the config, and is listed again', () => {
  it.each([
    ['', 200],
    ['?drain=15s', 202],
  ])('is there after a restart (DELETE%s)', async (query, status) => {
    const stateFile = join(temporaryFolder(), 'state.json');
    const both = { stateFile, backends: [backend(A), backend(B)] };
    const first = await running(both);
    expect((await first.call('DELETE', `/backends/1${query}`)).status).toBe(status);
    await reload(first, settings({ stateFile, backends: [backend(A)] }));
    await reload(first, settings(both));
    expect(await urls(first)).toEqual([A, B]);
    await end(first);
    const second = await running(both);
    expect(await urls(second)).toEqual([A, B]);
    expect((await second.call('GET', '/backends/2')).json).toMatchObject({ url: B });
  });

  it('is there after a restart when its pool was away', async () => {
    const stateFile = join(temporaryFolder(), 'state.json');
    const flat = { stateFile, backends: [backend(A)] };
    const first = await running(flat, undefined, [WEB]);
    expect((await first.call('DELETE', '/pools/web/backends/2')).status).toBe(200);
    await reload(first, settings(flat));
    await reload(first, settings(flat, [WEB]));
    await end(first);
    expect(await urls(await running(flat, undefined, [WEB]), 'web')).toEqual([A, B]);
  });
});

/** An operator with a state file, and no process around it. */
async function withFile(path: string) {
  const log = recordLog();
  const kept = await KeptState.open({ path, log });
  const registry = new Registry({
    settings: settings({ backends: [backend(A), backend(B)] }),
    threadCount: 1,
    operatorState: kept.found,
  });
  await kept.begin(registry.keptState);
  const operator = new Operator({
    registry,
    store: kept.store,
    log,
    drains: new Drains({
      log,
      threadCount: 1,
      tell: () => {},
      moveSessions: async () => {},
      poolOf: () => 'default',
      countersOf: (id) => registry.backend(id)?.counters,
      hasSessions: () => false,
    }),
    publish: async () => {},
  });
  return { operator, log, kept };
}

const ONLY_A = async (): Promise<Settings> => settings({ backends: [backend(A)] });

describe('a reload', () => {
  it('makes no state file where there is nothing to keep', async () => {
    const path = join(temporaryFolder(), 'state.json');
    const { operator, log, kept } = await withFile(path);
    expect(await operator.reload(ONLY_A)).toBe(true);
    await operator.stop();
    await kept.close();
    await expect(stat(path)).rejects.toThrow('ENOENT');
    expect(log.lines).toEqual([]);
  });

  it('does not write to the file of another process', async () => {
    const path = join(temporaryFolder(), 'state.json');
    const owner = await withFile(path);
    await owner.operator.remove(1);
    const before = await readFile(path, 'utf8');
    const other = await withFile(path);
    expect(await other.operator.reload(ONLY_A)).toBe(true);
    await other.operator.stop();
    expect(await readFile(path, 'utf8')).toBe(before);
    await Promise.all([owner.kept.close(), other.kept.close()]);
  });

  it('is made though the file can not be written, says so, and it is tried again', async () => {
    const folder = join(temporaryFolder(), 'of-the-state');
    await mkdir(folder);
    const path = join(folder, 'state.json');
    const { operator, log, kept } = await withFile(path);
    await operator.remove(1);
    // Neither root nor anybody else can write there.
    await rm(folder, { recursive: true });
    expect(await operator.reload(ONLY_A)).toBe(true);
    expect(log.lines.at(-1)).toMatchObject({ level: 'warn', event: 'state_file.behind' });
    await mkdir(folder);
    await operator.stop();
    await kept.close();
    const result = await readStateFile(path);
    const entries = result.kind === 'read' ? result.state.pools.get('default')?.entries : undefined;
    expect([...(entries?.keys() ?? [])]).toEqual([A]);
  });
});
