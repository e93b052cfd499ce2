/** Who asks for no certificates pays nothing for them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { validateConfigText } from '../../../src/config/load.ts';
import { AcmePlace } from '../../../src/control/acme/acme-place.ts';

const dist = fileURLToPath(new URL('../../../dist/', import.meta.url));

/** What is loaded with this file, whether anything is done or not. */
function loadedWith(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  for (const [, path = ''] of text.matchAll(/^(?:import|export)\b[^'"\n]*['"](\.[^'"]+)['"]/gm)) {
    loadedWith(join(file, '..', path), seen);
  }
  return seen;
}

function fail(): never {
  throw new Error('called');
}

function timers(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
}

test('nothing is loaded and no timer is set', async () => {
  const log = { debug: fail, info: fail, warn: fail, error: fail, fatal: fail };
  const cluster = undefined;
  const place = new AcmePlace({ log, cluster, holder: '', onIssued: fail, onChallenges: fail });
  const input = { flags: { values: [] }, env: {}, cwd: '/', configFile: '/nowhere/c.json' };
  const result = validateConfigText('{"backends":[":1"]}', 'c.json', input);
  if (!result.ok) throw new Error('a config without a fault');
  const before = timers();
  await place.sync(result.settings);
  place.listening();
  expect(place.states()).toEqual([]);
  expect(timers()).toBe(before);
  await place.stop();
});

test('the client is in a file of its own, which the command does not begin with', () => {
  const all = readdirSync(join(dist, 'chunks')).map((name) => join(dist, 'chunks', name));
  const holders = all.filter((file) =>
    readFileSync(file, 'utf8').includes('urn:ietf:params:acme:error:'),
  );
  expect(holders.length).toBeGreaterThan(0);
  const entries = ['cli/main.js', 'index.js', 'data/worker.js'].map((name) => join(dist, name));
  const asking = all.filter((file) => readFileSync(file, 'utf8').includes('import("./acme'));
  expect(asking).toHaveLength(1);
  for (const entry of [...entries, ...asking]) {
    const loaded = loadedWith(entry);
    expect(loaded.size).toBeGreaterThan(1);
    expect(holders.filter((file) => loaded.has(file))).toEqual([]);
  }
});
