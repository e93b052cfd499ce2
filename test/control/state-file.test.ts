import { readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Registry } from '../../src/control/registry.ts';
import { KeptState } from '../../src/control/state/kept-state.ts';
import {
  clearStateFile,
  readStateFile,
  StateStore,
  setAsideStateFile,
} from '../../src/control/state/state-file.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { address, backend, settings } from './fixtures.ts';

async function folder(): Promise<string> {
  const path = temporaryFolder('state');
  return path;
}

function changed(): Registry {
  const registry = new Registry({
    settings: settings({
      backends: ['http://localhost:1', 'http://localhost:2', 'http://localhost:3'].map((url) =>
        backend(url),
      ),
    }),
    threadCount: 1,
  });
  registry.defaultPool.planAdd(address('http://[::1]:9'), 4, true).commit();
  registry.defaultPool.planRemove(0).commit();
  registry.defaultPool.planUpdate(1, { state: 'disabled', weight: 6, isBackup: true }).commit();
  registry.defaultPool.planLeave(2).commit();
  registry.defaultPool.planStrategy('least-connections').commit();
  return registry;
}

describe('the state file', () => {
  it('gives back what was saved', async () => {
    const path = join(await folder(), 'state.json');
    const { operatorState } = changed();
    await new StateStore(path).save(operatorState);
    expect(await readStateFile(path)).toEqual({ kind: 'read', state: operatorState, faults: [] });
  });

  it('holds the last state of many saved at once, and leaves nothing else behind', async () => {
    const at = await folder();
    const path = join(at, 'state.json');
    const store = new StateStore(path);
    const { operatorState } = changed();
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        store.save({ ...operatorState, nextId: 100 + index }),
      ),
    );
    await store.flush();
    expect(await readStateFile(path)).toMatchObject({ kind: 'read', state: { nextId: 119 } });
    expect(await readdir(at)).toEqual(['state.json']);
  });

  it('rids its folder of what was left by processes that were killed, and of nothing else', async () => {
    const at = await folder();
    const path = join(at, 'state.json');
    const others = ['.other.json.0123abcd.tmp', '.state.json.tmp', '.state.json.mine.tmp'];
    for (const name of ['.state.json.0123abcd.tmp', ...others]) await writeFile(join(at, name), '');
    const kept = await KeptState.open({
      path,
      log: createLogger({ level: 'error', writer: null }).logger,
    });
    // Not while somebody else writes the file.
    await writeFile(join(at, '.state.json.4567abcd.tmp'), '');
    const second = await KeptState.open({
      path,
      log: createLogger({ level: 'error', writer: null }).logger,
    });
    expect((await readdir(at)).toSorted()).toEqual(
      [...others, '.state.json.4567abcd.tmp', 'state.json.lock'].toSorted(),
    );
    await kept.close();
    await second.close();
  });

  it('keeps the old file when the new one can not be written', async () => {
    const at = await folder();
    const path = join(at, 'gone', 'state.json');
    const store = new StateStore(path);
    await expect(store.save(changed().operatorState)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readStateFile(path)).toEqual({ kind: 'absent' });
  });

  it('writes through a link', async () => {
    const at = await folder();
    await writeFile(join(at, 'real.json'), '');
    await symlink(join(at, 'real.json'), join(at, 'link.json'));
    await new StateStore(join(at, 'link.json')).save(changed().operatorState);
    expect(JSON.parse(await readFile(join(at, 'real.json'), 'utf8'))).toMatchObject({ version: 2 });
  });

  it('is damaged as a whole where it is no JSON object of a version that is known', async () => {
    const path = join(await folder(), 'state.json');
    const good = { version: 1, next_id: 2, added: [], configured: [] };
    for (const content of [
      '{',
      'null',
      '[]',
      '{"next_id":2}',
      '{"version":3}',
      JSON.stringify({ ...good, version: 3 }),
    ]) {
      await writeFile(path, content);
      const result = await readStateFile(path);
      expect([content, result.kind]).toEqual([content, 'damaged']);
    }
    const aside = await setAsideStateFile(path, new Date(0));
    expect(aside).toBe(`${path}.damaged-1970-01-01T00-00-00.000Z`);
    expect(await readStateFile(path)).toEqual({ kind: 'absent' });
  });

  it('leaves a folder where it is', async () => {
    const path = await folder();
    expect(await readStateFile(path)).toMatchObject({ kind: 'unreadable' });
    await expect(setAsideStateFile(path, new Date(0))).rejects.toThrow('is a folder');
  });

  it('of the first version, which knew one pool, is read as that of the pool default', async () => {
    const path = join(await folder(), 'state.json');
    const first = {
      version: 1,
      next_id: 5,
      strategy: 'least-connections',
      session_secret: 'a'.repeat(16),
      added: [{ url: 'http://[::1]:9', id: 3, weight: 4, backup: true }],
      configured: [
        { url: 'http://localhost:1', removed: true },
        { url: 'http://localhost:2', id: 1, weight: 6, state: 'disabled' },
      ],
    };
    await writeFile(path, JSON.stringify(first));
    const result = await readStateFile(path);
    if (result.kind !== 'read') throw new Error(result.kind);
    expect(result.faults).toEqual([]);
    const { nextId, sessionSecret, pools } = result.state;
    expect([nextId, sessionSecret, [...pools.keys()]]).toEqual([5, 'a'.repeat(16), ['default']]);
    expect(pools.get('default')?.strategy).toBe('least-connections');
    expect([...(pools.get('default')?.entries.values() ?? [])]).toMatchObject([
      { url: 'http://[::1]:9', id: 3, source: 'api', weight: 4, isBackup: true },
      { url: 'http://localhost:1', isRemoved: true },
      { url: 'http://localhost:2', id: 1, weight: 6, state: 'disabled' },
    ]);
    // Saved again, it is of the second version, and says the same.
    await new StateStore(path).save(result.state);
    expect(await readStateFile(path)).toEqual(result);
  });

  it('leaves out what is wrong of one pool, and keeps the others', async () => {
    const path = join(await folder(), 'state.json');
    const disabled = { url: 'http://localhost:1', id: 0, state: 'disabled' };
    const pools = {
      default: { configured: [disabled] },
      web: {
        strategy: 'none',
        configured: [
          { ...disabled, id: 0 },
          { ...disabled, id: 1 },
        ],
      },
      api: 7,
    };
    await writeFile(path, JSON.stringify({ version: 2, next_id: 2, pools }));
    const result = await readStateFile(path);
    if (result.kind !== 'read') throw new Error(result.kind);
    const states = [...result.state.pools].map(([name, { entries }]) => [
      name,
      Array.from(entries.values(), ({ id, state }) => `${id} ${state}`),
    ]);
    expect(states).toEqual([
      ['default', ['0 disabled']],
      ['web', ['undefined disabled']],
    ]);
    expect(result.faults).toEqual([
      expect.stringContaining('pools.web.strategy: '),
      'the id 0 of http://localhost:1 is not its own',
      'http://localhost:1 stands there twice',
      expect.stringContaining('pools.api: '),
    ]);
  });

  it('can be dropped', async () => {
    const path = join(await folder(), 'state.json');
    expect(await clearStateFile(path)).toBe(false);
    await new StateStore(path).save(changed().operatorState);
    expect(await clearStateFile(path)).toBe(true);
    expect(await readStateFile(path)).toEqual({ kind: 'absent' });
  });

  it('can be dropped but for the secret of session cookies, which no operator has changed', async () => {
    const path = join(await folder(), 'state.json');
    await new StateStore(path).save({ ...changed().operatorState, sessionSecret: 'a'.repeat(16) });
    expect(await clearStateFile(path)).toBe(true);
    expect(await readStateFile(path)).toEqual({
      kind: 'read',
      state: { nextId: 0, pools: new Map(), otherSecrets: [], sessionSecret: 'a'.repeat(16) },
      faults: [],
    });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await clearStateFile(path)).toBe(false);
  });

  it('is not needed', async () => {
    await expect(new StateStore(undefined).save(changed().operatorState)).resolves.toBeUndefined();
  });
});
