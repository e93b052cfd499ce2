import { describe, expect, it } from 'vitest';
import { isAlive } from '../../src/control/backend.ts';
import { Registry } from '../../src/control/registry.ts';
import { changesOf, countChanges, settleLeaving } from '../../src/control/state/operator-state.ts';
import { BackendCounters } from '../../src/snapshot/counters.ts';
import { address, backend, pickedIds, settings } from './fixtures.ts';

const A = 'http://localhost:8081';
const B = 'http://localhost:8082';
const C = 'http://localhost:8083';

function registry(urls: readonly string[] = [A, B, C]): Registry {
  return new Registry({
    settings: settings({ backends: urls.map((url) => backend(url)) }),
    threadCount: 1,
    now: () => 1000,
  });
}

function ids(of: Registry): number[] {
  return of.backends().map(({ id }) => id);
}

describe('registry', () => {
  it('gives ids in the order of the config, from 0', () => {
    expect(
      registry()
        .backends()
        .map(({ id, address: { url } }) => [id, url]),
    ).toEqual([
      [0, A],
      [1, B],
      [2, C],
    ]);
  });

  it('never gives an id twice, not even to a URL that comes back', () => {
    const the = registry();
    the.defaultPool.planRemove(2).commit();
    expect(the.defaultPool.planAdd(address(C), 1).commit().id).toBe(3);
    the.defaultPool.planRemove(3).commit();
    expect(the.defaultPool.planAdd(address('http://localhost:9'), 1).commit().id).toBe(4);
    expect(ids(the)).toEqual([0, 1, 4]);
  });

  it('gives an id back to the URL that had it, with its counters, and to no other', () => {
    const the = registry();
    const { defaultPool } = the;
    const back = (url: string, id: number) =>
      defaultPool.planNew(
        address(url),
        { weight: 5, isBackup: false, state: 'disabled', id },
        undefined,
      );
    const counters = the.backend(2)?.counters;
    defaultPool.planRemove(2).commit();
    expect(() => back('http://localhost:9', 2)).toThrow(/id 2 is not that of a backend/);
    expect(() => back(C, 1)).toThrow(/id 1 is not that of a backend/);
    expect(() => back(C, 7)).toThrow(/id 7 is not that of a backend/);
    expect(back(C, 2).commit()).toMatchObject({
      id: 2,
      weight: 5,
      adminState: 'disabled',
      source: 'config',
    });
    expect(the.backend(2)?.counters).toBe(counters);
    expect(() => back(C, 2)).toThrow(/backend 2 already/);
    defaultPool.planRemove(2).commit();
    // The config's own values are not kept as somebody's wish.
    const asBefore = { weight: 1, isBackup: false, state: 'enabled', id: 2 } as const;
    defaultPool.planNew(address(C), asBefore, undefined).commit();
    expect(countChanges(the.operatorState)).toBe(0);
  });

  it('refuses the same URL in another spelling', () => {
    const the = registry();
    expect(() => the.defaultPool.planAdd(address('HTTP://LOCALHOST:8081/'), 1)).toThrow(
      /backend 0 already/,
    );
  });

  it('changes nothing before a plan is committed, and refuses to commit a stale one', () => {
    const the = registry();
    const plan = the.defaultPool.planAdd(address('http://localhost:9'), 1);
    expect(ids(the)).toEqual([0, 1, 2]);
    expect(the.generation).toBe(1);
    the.defaultPool.planStrategy('least-connections').commit();
    expect(() => plan.commit()).toThrow(/changed since/);
    expect(ids(the)).toEqual([0, 1, 2]);
  });

  it('counts changes of operators in the generation, and nothing else', () => {
    const the = registry();
    the.defaultPool.live.setHealth(0, 'healthy', 'ok');
    the.defaultPool.live.recordCheck(0, true);
    expect(the.generation).toBe(1);
    the.defaultPool.planUpdate(0, { weight: 1 }).commit();
    expect(the.generation).toBe(1);
    the.defaultPool.planUpdate(0, { weight: 2 }).commit();
    expect(the.generation).toBe(2);
    expect(the.applyConfig(the.settings)).toBe(false);
    expect(the.applyConfig({ ...the.settings, drainMs: 5 })).toBe(true);
    expect(the.generation).toBe(3);
  });

  it('derives alive from the admin state and health', () => {
    const the = registry();
    const [first] = the.backends();
    if (first === undefined) throw new Error('no backend');
    expect(isAlive(first)).toBe(false);
    the.defaultPool.live.setHealth(0, 'healthy', 'ok');
    expect(isAlive(first)).toBe(true);
    for (const state of ['disabled', 'draining'] as const) {
      the.defaultPool.planUpdate(0, { state }).commit();
      expect(pickedIds(the.defaultPool)).toEqual([]);
      expect(the.snapshot().pools[0]?.eligibility.picks).toEqual([]);
    }
    the.defaultPool.live.setHealth(0, 'unhealthy', 'no');
    the.defaultPool.live.setHealth(0, 'healthy', 'ok');
    expect(pickedIds(the.defaultPool)).toEqual([]);
    the.defaultPool.planUpdate(0, { state: 'enabled' }).commit();
    expect(pickedIds(the.defaultPool)).toEqual([0]);
  });

  it('keeps id, health, counters and changes of operators over a reload', () => {
    const the = registry();
    the.defaultPool.live.setHealth(1, 'healthy', 'ok');
    new BackendCounters(
      the.snapshot().pools[0]?.backends[1]?.counters as SharedArrayBuffer,
      0,
      1,
    ).requestStarted();
    the.defaultPool.planUpdate(1, { state: 'disabled', weight: 7 }).commit();
    the.defaultPool.planAdd(address('http://localhost:9'), 2).commit();
    the.defaultPool.planRemove(0).commit();
    the.defaultPool.planStrategy('least-connections').commit();
    const counters = the.backend(1)?.counters;
    the.applyConfig(
      settings({ backends: [backend('http://localhost:8'), backend(A), backend(B, 3)] }),
    );
    expect(
      the
        .backends()
        .map(({ id, address: { url }, weight, adminState, source }) => [
          id,
          url,
          weight,
          adminState,
          source,
        ]),
    ).toEqual([
      [1, B, 7, 'disabled', 'config'],
      [3, 'http://localhost:9', 2, 'enabled', 'api'],
      [4, 'http://localhost:8', 1, 'enabled', 'config'],
    ]);
    expect(the.backend(1)?.counters).toBe(counters);
    expect(the.backend(1)?.health).toBe('healthy');
    expect(the.defaultPool.strategy).toBe('least-connections');
    expect(countChanges(the.operatorState)).toBe(4);
  });

  it('forgets an override that says what the config says', () => {
    const the = registry();
    the.defaultPool.planUpdate(0, { weight: 5, state: 'disabled' }).commit();
    the.defaultPool.planUpdate(0, { weight: 1, state: 'enabled' }).commit();
    the.defaultPool.planStrategy('least-connections').commit();
    the.defaultPool.planStrategy('round-robin').commit();
    expect(countChanges(the.operatorState)).toBe(0);
  });

  it('keeps an added backend that the config lists later, with its weight', () => {
    const the = registry([]);
    the.defaultPool.planAdd(address(A), 4).commit();
    the.applyConfig(settings({ backends: [backend(A), backend(B)] }));
    expect(the.backends().map(({ id, weight, source }) => [id, weight, source])).toEqual([
      [0, 4, 'api'],
      [1, 1, 'config'],
    ]);
    the.defaultPool.planRemove(0).commit();
    expect(ids(the)).toEqual([1]);
    the.applyConfig(settings({ backends: [backend(A), backend(B)], drainMs: 3 }));
    expect(ids(the)).toEqual([1]);
  });

  it('gives a URL that left the config and came back a new id and fresh counters', () => {
    const the = registry([A, B]);
    the.defaultPool.planUpdate(0, { state: 'disabled' }).commit();
    the.applyConfig(settings({ backends: [backend(B)] }));
    expect(ids(the)).toEqual([1]);
    the.applyConfig(settings({ backends: [backend(A), backend(B)] }));
    expect(the.backends().map(({ id, adminState }) => [id, adminState])).toEqual([
      [1, 'enabled'],
      [2, 'disabled'],
    ]);
  });

  it('forgets a removal once the config no longer lists the URL', () => {
    const the = registry([A, B]);
    the.defaultPool.planRemove(0).commit();
    the.applyConfig(settings({ backends: [backend(B)] }));
    expect(countChanges(the.operatorState)).toBe(0);
    the.applyConfig(settings({ backends: [backend(A), backend(B)] }));
    expect(ids(the)).toEqual([1, 2]);
  });

  it('starts from saved changes with the same ids', () => {
    const before = registry();
    before.defaultPool.planAdd(address('http://localhost:9'), 2).commit();
    before.defaultPool.planUpdate(1, { state: 'disabled' }).commit();
    before.defaultPool.planLeave(2).commit();
    const after = new Registry({
      settings: before.settings,
      threadCount: 1,
      operatorState: settleLeaving(before.operatorState),
    });
    expect(after.backends().map(({ id, adminState }) => [id, adminState])).toEqual([
      [0, 'enabled'],
      [1, 'disabled'],
      [3, 'enabled'],
    ]);
  });

  it('calls off a removal when the state is set', () => {
    const the = registry();
    the.defaultPool.planLeave(0).commit();
    expect(the.backend(0)?.adminState).toBe('draining');
    the.defaultPool.planUpdate(0, { state: 'enabled' }).commit();
    expect(changesOf(settleLeaving(the.operatorState), 'default').entries.get(A)?.isRemoved).toBe(
      false,
    );
  });
});
