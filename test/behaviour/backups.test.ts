/** Backends with `backup: true`, and backends of weight 0. */
import { describe, expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { startPool, status } from './named-pool.ts';

const QUICK = {
  health_check_frequency: '50ms',
  health_check_fall: 1,
  health_check_rise: 1,
} as const;
const BACKUP = [{}, {}, { backup: true }] as const;

describe('backups', () => {
  test('are used only when no primary is left, and no longer than that', async () => {
    const the = await startPool(BACKUP, QUICK);
    expect(new Set(await the.names(12))).toEqual(new Set(['A', 'B']));
    expect((await the.views())[2]).toMatchObject({
      alive: true,
      eligible: false,
      why: 'a backup: 2 primaries are eligible',
    });
    await the.backend(0).stop();
    await the.viewWhere(0, ({ eligible }) => !eligible);
    expect(await the.names(6)).toEqual(Array(6).fill('B'));
    await the.backend(1).stop();
    await the.viewWhere(2, ({ eligible }) => eligible);
    expect(await the.names(6)).toEqual(Array(6).fill('C'));
    expect((await the.views())[2]?.why).toMatch(
      /^healthy, .*; a backup in use: no primary is eligible$/,
    );
    expect(await the.status()).toMatchObject({ panic: false });
    await the.backend(0).start();
    await the.viewWhere(2, ({ eligible }) => !eligible);
    expect(await the.names(6)).toEqual(Array(6).fill('A'));
  });

  test('take a request over that the last primary has just failed', async () => {
    const the = await startPool([{}, { backup: true }]);
    await the.backend(0).stop();
    // No check has seen it yet: the connection is refused, and that is seen.
    expect(await the.names(1)).toEqual(['B']);
    expect(await the.names(4)).toEqual(['B', 'B', 'B', 'B']);
    const line = await waitFor(() => the.fairlead.accessLines()[0]);
    expect(line).toMatchObject({
      attempts: [{ outcome: 'ERR_BACKEND_REFUSED' }, { outcome: 'ok' }],
    });
  });

  test('take no request over because the primary is slow or full', async () => {
    const the = await startPool([{}, { backup: true }], {
      max_requests: 1,
      retries: { hedge_after: '50ms' },
    });
    the.backend(0).answer = (_request, response) => {
      setTimeout(() => response.end('A'), 1_000);
    };
    const slow = the.ask();
    await waitFor(() => the.backend(0).requests === 1);
    const full = await the.ask();
    expect([full.status, String(full.body)]).toEqual([
      503,
      expect.stringContaining('BACKENDS_FULL'),
    ]);
    expect(String((await slow).body)).toBe('A');
    expect(the.backend(1).requests).toBe(0);
  });

  test('take over what the last primary answered with a listed status', async () => {
    const the = await startPool([{}, { backup: true }], { retries: { on_status: [503] } });
    the.backend(0).answer = status(503);
    expect(await the.names(1)).toEqual(['B']);
  });

  test('come before a panic: they pass their checks', async () => {
    const the = await startPool(BACKUP, { ...QUICK, health_check_method: 'http' });
    the.backend(0).isHealthy = false;
    the.backend(1).isHealthy = false;
    await the.viewWhere(2, ({ eligible }) => eligible);
    expect(await the.names(6)).toEqual(Array(6).fill('C'));
    expect(await the.status()).toMatchObject({ panic: false });
  });

  test('share by their weights', async () => {
    const the = await startPool([{}, { backup: true, weight: 3 }, { backup: true }]);
    await the.call('PUT', '/backends/0/status', { alive: false });
    const names = await the.names(20);
    expect(names.filter((name) => name === 'B')).toHaveLength(15);
    expect(names.filter((name) => name === 'C')).toHaveLength(5);
  });

  test('keep the sessions that they got', async () => {
    const the = await startPool([{}, { backup: true }], {
      sticky: { by: 'header', name: 'X-User' },
    });
    await the.call('PUT', '/backends/0/status', { alive: false });
    expect(await the.names(2, ['X-User: me'])).toEqual(['B', 'B']);
    await the.call('PUT', '/backends/0/status', { alive: true });
    expect(await the.names(2, ['X-User: me'])).toEqual(['B', 'B']);
    expect(await the.names(2, ['X-User: you'])).toEqual(['A', 'A']);
  });

  test('are made and unmade through the admin API, and stay so over a restart', async () => {
    const the = await startPool(3);
    expect(await the.call('PATCH', '/backends/1', { backup: true })).toMatchObject({
      status: 200,
      json: { backup: true, eligible: false },
    });
    expect(new Set(await the.names(6))).toEqual(new Set(['A', 'C']));
    expect((await the.call('PATCH', '/backends/1', { backup: false })).json).toMatchObject({
      backup: false,
    });
    expect(new Set(await the.names(6))).toEqual(new Set(['A', 'B', 'C']));
    for (const backup of ['yes', 1, null]) {
      expect(await the.call('PATCH', '/backends/1', { backup })).toMatchObject({
        status: 422,
        json: { code: 'ERR_INVALID_VALUE' },
      });
    }
  });
});

describe('weight 0', () => {
  test('gets no new clients, from the config or by the admin API', async () => {
    const the = await startPool([{}, { weight: 0 }, {}]);
    expect(new Set(await the.names(12))).toEqual(new Set(['A', 'C']));
    expect((await the.views())[1]).toMatchObject({
      alive: true,
      eligible: false,
      effective_weight: 0,
      why: 'weight 0: no new clients, only the sessions that it has',
    });
    await the.call('PATCH', '/backends/0', { weight: 0 });
    expect(await the.names(4)).toEqual(['C', 'C', 'C', 'C']);
    await the.call('PATCH', '/backends/1', { weight: 2 });
    expect(new Set(await the.names(12))).toEqual(new Set(['B', 'C']));
  });

  test('everywhere: 503, and no panic', async () => {
    const the = await startPool([{ weight: 0 }, { weight: 0 }]);
    const response = await the.ask();
    expect([response.status, String(response.body)]).toEqual([
      503,
      expect.stringContaining('ERR_NO_BACKEND'),
    ]);
    expect(await the.status()).toMatchObject({ panic: false });
  });

  test('of all primaries: the backup is used', async () => {
    const the = await startPool([{ weight: 0 }, { backup: true }]);
    expect(await the.names(3)).toEqual(['B', 'B', 'B']);
  });
});
