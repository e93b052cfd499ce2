/**
 * A backend that was removed with --not-kept was in no list, and so in no list was told that it would be back after a restart; of other changes
 * it was told with each backend in JSON, and not by `fairlead status`.
 */
import { expect, test } from 'vitest';
import { unkeptLines } from '../../src/cli/admin/pool-status.ts';
import type { AdminCall } from '../../src/control/admin/router.ts';
import { statusRoutes } from '../../src/control/admin/status-routes.ts';
import { Registry } from '../../src/control/registry.ts';
import { unkeptChanges } from '../../src/control/state/unkept-changes.ts';
import { address, backend, settings } from '../control/fixtures.ts';

test('what a restart ends is listed, with what will be in its place', () => {
  const registry = new Registry({
    settings: settings({
      backends: [backend('http://a'), backend('http://b'), backend('http://c')],
    }),
    threadCount: 1,
  });
  const pool = registry.defaultPool;
  const shown = () =>
    unkeptChanges(
      { inForce: registry.operatorState, kept: registry.keptState },
      pool.name,
      pool.settings.strategy,
    );
  pool.planUpdate(1, { weight: 7 }).commit();
  expect(shown()).toEqual([]);
  pool.planRemove(0).commit(false);
  pool.planUpdate(1, { state: 'draining' }).commit(false);
  pool.planAdd(address('http://d'), 2).commit(false);
  pool.planStrategy('random-two').commit(false);
  expect(unkeptLines({ not_kept: shown() })).toEqual([
    'not kept: strategy: random-two (after a restart: round-robin)',
    'not kept: http://a: removed (after a restart: as the config says)',
    'not kept: http://b: weight 7, draining (after a restart: weight 7)',
    'not kept: http://d: added, weight 2 (after a restart: not there)',
  ]);
  pool.planRemove(3).commit(false);
  // The same again, to be kept.
  pool.planUpdate(1, { state: 'draining' }).commit();
  pool.planStrategy('random-two').commit();
  expect(shown().map((one) => one.backend)).toEqual(['http://a']);
});

test('GET /status has it, where there is something', async () => {
  const registry = new Registry({
    settings: settings({ backends: [backend('http://a')] }),
    threadCount: 1,
  });
  const routes = statusRoutes({
    registry,
    drains: { shown: (view: object) => view },
    threadCount: 1,
    uptimeSeconds: () => 1,
    listeners: () => [],
    leaving: () => [],
    counterEngine: () => null,
    refusedReload: () => null,
  } as never);
  const handle = routes.find(({ path }) => path === '/status')?.methods['GET']?.handle;
  const call = { params: { pool: 'default' } } as Partial<AdminCall> as AdminCall;
  const status = async () => (await handle?.(call))?.body as object;
  expect(await status()).not.toHaveProperty('not_kept');
  registry.defaultPool.planRemove(0).commit(false);
  expect(await status()).toMatchObject({
    total_backends: 0,
    not_kept: [
      {
        value: 'backend',
        backend: 'http://a',
        now: 'removed',
        after_restart: 'as the config says',
      },
    ],
  });
});
