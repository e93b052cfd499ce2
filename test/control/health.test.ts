import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { HealthCheckSettings } from '../../src/config/settings.ts';
import { HealthChecker } from '../../src/control/health.ts';
import type { ProbeRequest, ProbeResult } from '../../src/control/probe.ts';
import { Registry } from '../../src/control/registry.ts';
import { address, backend, pickedIds, recordLog, settings } from './fixtures.ts';

const A = 'http://localhost:8081';

function setUp(change: Partial<HealthCheckSettings> = {}, urls: readonly string[] = [A]) {
  const healthCheck = { ...settings().healthCheck, ...change };
  const log = recordLog();
  const registry = new Registry({
    settings: settings({ healthCheck, backends: urls.map((url) => backend(url)) }),
    threadCount: 1,
  });
  const probes: ProbeRequest[] = [];
  const passed: (readonly [id: number, startedAt: number])[] = [];
  const world = {
    answer: (_request: ProbeRequest): Partial<ProbeResult> => ({ isPassed: true }),
    changes: 0,
  };
  const health = new HealthChecker({
    registry,
    log,
    random: () => 0.5,
    probe: async (request) => {
      probes.push(request);
      return {
        isPassed: true,
        status: undefined,
        detail: 'tried',
        hasConnected: true,
        ...world.answer(request),
      };
    },
    onChange: () => world.changes++,
    onPassed: (id, startedAt) => passed.push([id, startedAt]),
  });
  return { health, registry, log, probes, passed, world };
}

describe('health checks', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('decides by the first result, and says so once', async () => {
    const { health, registry, log, probes, world } = setUp();
    health.sync();
    expect(pickedIds(registry)).toEqual([]);
    await vi.advanceTimersByTimeAsync(0);
    expect(pickedIds(registry)).toEqual([0]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(probes.length).toBeGreaterThan(5);
    expect(log.events()).toEqual(['backend.up']);
    expect(world.changes).toBe(1);
    health.stop();
  });

  it('takes three failures in a row to go down, checked at the fast interval, and two passes to come up', async () => {
    const { health, registry, log, probes, world } = setUp();
    health.sync();
    await vi.advanceTimersByTimeAsync(0);
    world.answer = () => ({ isPassed: false });
    await vi.advanceTimersByTimeAsync(5000);
    expect(probes.length).toBe(2);
    await vi.advanceTimersByTimeAsync(1000);
    expect(pickedIds(registry)).toEqual([0]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(probes.length).toBe(4);
    expect(pickedIds(registry)).toEqual([]);
    await vi.advanceTimersByTimeAsync(9000);
    expect(probes.length).toBe(4);
    world.answer = () => ({ isPassed: true });
    await vi.advanceTimersByTimeAsync(1000);
    expect(pickedIds(registry)).toEqual([]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(pickedIds(registry)).toEqual([0]);
    expect(log.events()).toEqual(['backend.up', 'backend.down', 'backend.up']);
    health.stop();
  });

  it('forgives failures that are not in a row', async () => {
    const { health, log, world } = setUp();
    let turn = 0;
    health.sync();
    await vi.advanceTimersByTimeAsync(0);
    world.answer = () => ({ isPassed: turn++ % 3 === 2 });
    await vi.advanceTimersByTimeAsync(200_000);
    expect(turn).toBeGreaterThan(20);
    expect(log.events()).toEqual(['backend.up']);
    health.stop();
  });

  it('takes a backend out at once when a request could not connect, and brings it back by checks', async () => {
    const { health, registry, log, probes } = setUp({ intervalMs: 30_000 });
    health.sync();
    await vi.advanceTimersByTimeAsync(0);
    health.connectFailed(0, 'connect ECONNREFUSED 127.0.0.1:8081');
    health.connectFailed(0, 'connect ECONNREFUSED 127.0.0.1:8081');
    expect(pickedIds(registry)).toEqual([]);
    expect(
      log.lines.filter(({ event }) => event === 'backend.down').map(({ message }) => message),
    ).toEqual([`${A} is DOWN: connect ECONNREFUSED 127.0.0.1:8081`]);
    await vi.advanceTimersByTimeAsync(2000);
    expect(probes.length).toBe(3);
    expect(pickedIds(registry)).toEqual([0]);
    health.stop();
  });

  it.each([404, 426])(
    'goes over to TCP when the very first answer is %d, and only then',
    async (status) => {
      const { health, registry, log, probes, world } = setUp({ method: 'auto' });
      let answers = 0;
      world.answer = ({ method }) => {
        if (method === 'tcp') return { isPassed: true };
        answers++;
        // Refused at first: that is no answer.
        return answers === 1 ? { isPassed: false } : { isPassed: false, status };
      };
      health.sync();
      await vi.advanceTimersByTimeAsync(40_000);
      expect(pickedIds(registry)).toEqual([0]);
      expect(probes.map(({ method }) => method).slice(0, 4)).toEqual([
        'http',
        'http',
        'tcp',
        'tcp',
      ]);
      expect(log.events('backend.checked')).toEqual(['backend.checked_by_tcp']);
      health.stop();
    },
  );

  it('keeps HTTP when a 404 comes later, and when it was asked for', async () => {
    for (const [method, statuses] of [
      ['auto', [200, 404]],
      ['http', [404]],
    ] as const) {
      const { health, registry, probes, world } = setUp({ method });
      let turn = 0;
      world.answer = () => {
        const status = statuses[Math.min(turn++, statuses.length - 1)] ?? 0;
        return { isPassed: status === 200, status };
      };
      health.sync();
      await vi.advanceTimersByTimeAsync(60_000);
      expect(new Set(probes.map((request) => request.method))).toEqual(new Set(['http']));
      expect(pickedIds(registry)).toEqual([]);
      health.stop();
    }
  });

  it('leaves the timers of other backends alone when one comes or goes', async () => {
    const { health, registry, probes } = setUp();
    health.sync();
    await vi.advanceTimersByTimeAsync(4000);
    registry.planAdd(address('http://localhost:9'), 1).commit();
    health.sync();
    await vi.advanceTimersByTimeAsync(0);
    expect(probes.map((request) => request.address.port)).toEqual([8081, 9]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(probes.map((request) => request.address.port)).toEqual([8081, 9, 8081]);
    registry.planRemove(1).commit();
    health.sync();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(probes.filter((request) => request.address.port === 9).length).toBe(1);
    health.stop();
  });

  it('knows who can not even be connected to, and says so when that changes', async () => {
    const { health, registry, world } = setUp();
    world.answer = () => ({ isPassed: false, hasConnected: false });
    health.sync();
    await vi.advanceTimersByTimeAsync(0);
    expect(registry.backend(0)?.isUnreachable).toBe(true);
    const before = world.changes;
    world.answer = () => ({ isPassed: false, hasConnected: true });
    await health.checkNow(0);
    expect(registry.backend(0)?.isUnreachable).toBe(false);
    health.connectFailed(0, 'connect ECONNREFUSED 127.0.0.1:8081');
    expect(registry.backend(0)).toMatchObject({ isUnreachable: true, health: 'unhealthy' });
    expect(world.changes).toBe(before + 2);
    health.stop();
  });

  it('tells of every check that passed, and when it began', async () => {
    const { health, registry, world, passed } = setUp();
    health.sync();
    await vi.advanceTimersByTimeAsync(0);
    world.answer = () => ({ isPassed: false });
    await health.checkNow(0);
    const startedAt = registry.now();
    world.answer = () => {
      vi.setSystemTime(startedAt + 50);
      return { isPassed: true };
    };
    await health.checkNow(0);
    expect(passed.length).toBe(2);
    expect(passed[1]).toEqual([0, startedAt]);
    health.stop();
  });

  it('checks disabled backends too', async () => {
    const { health, registry } = setUp();
    registry.planUpdate(0, { state: 'disabled' }).commit();
    health.sync();
    await vi.advanceTimersByTimeAsync(0);
    expect(registry.backend(0)?.health).toBe('healthy');
    expect(pickedIds(registry)).toEqual([]);
    health.stop();
  });

  it('asks nothing any more after the stop, and answers checkNow of a backend that it does not know', async () => {
    const { health, probes } = setUp();
    await health.checkNow(99);
    health.sync();
    await vi.advanceTimersByTimeAsync(0);
    health.stop();
    await health.checkNow(0);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(probes.length).toBe(1);
  });
});
