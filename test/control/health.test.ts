import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { HealthCheckSettings } from '../../src/config/settings.ts';
import type { ProbeRequest } from '../../src/control/health/check-request.ts';
import { HealthChecker } from '../../src/control/health/health.ts';
import type { ProbeResult } from '../../src/control/health/probe.ts';
import {
  address,
  backend,
  flatSettings,
  pickedIds,
  poolRegistry,
  recordLog,
  settings,
} from './fixtures.ts';

const A = 'http://localhost:8081';

function setUp(change: Partial<HealthCheckSettings> = {}, urls: readonly string[] = [A]) {
  const healthCheck = { ...flatSettings().healthCheck, ...change };
  const log = recordLog();
  const registry = poolRegistry({
    settings: settings({ healthCheck, backends: urls.map((url) => backend(url)) }),
    threadCount: 1,
  });
  const probes: ProbeRequest[] = [];
  const passed: (readonly [id: number, startedAt: number])[] = [];
  const recovered: number[] = [];
  const world = {
    answer: (_request: ProbeRequest): Partial<ProbeResult> => ({ isPassed: true }),
    wait: (_index: number): Promise<void> => Promise.resolve(),
    changes: 0,
  };
  const health = new HealthChecker({
    registry,
    log,
    random: () => 0.5,
    probe: async (request) => {
      probes.push(request);
      await world.wait(probes.length - 1);
      return {
        isPassed: true,
        status: undefined,
        detail: 'tried',
        hasConnected: true,
        code: undefined,
        isInconclusive: false,
        ...world.answer(request),
      };
    },
    onChange: () => world.changes++,
    onPassed: (id, startedAt) => passed.push([id, startedAt]),
    onRecovered: (id) => recovered.push(id),
  });
  return { health, registry, log, probes, passed, recovered, world };
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
    expect(probes.length).toBe(13);
    world.answer = () => ({ isPassed: true });
    await vi.advanceTimersByTimeAsync(1000);
    expect(pickedIds(registry)).toEqual([]);
    await vi.advanceTimersByTimeAsync(250);
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

  it.each([404, 401, 403, 405, 426])(
    'goes over to TCP with the first %d, whatever came before it, and says so once',
    async (status) => {
      const { health, registry, log, probes, world } = setUp({ method: 'auto' });
      let turn = 0;
      const before = [{ isPassed: false }, { isPassed: false, status: 503 }, { status: 200 }];
      world.answer = ({ method }) =>
        method === 'tcp' ? { isPassed: true } : (before[turn++] ?? { isPassed: false, status });
      health.sync();
      await vi.advanceTimersByTimeAsync(60_000);
      expect(pickedIds(registry)).toEqual([0]);
      expect(probes.map(({ method }) => method).slice(0, 6)).toEqual([
        'http',
        'http',
        'http',
        'http',
        'tcp',
        'tcp',
      ]);
      expect(log.events('backend.checked')).toEqual(['backend.checked_by_tcp']);
      health.stop();
    },
  );

  it('keeps HTTP where it was asked for', async () => {
    const { health, registry, probes, world } = setUp({ method: 'http' });
    world.answer = () => ({ isPassed: false, status: 404 });
    health.sync();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(new Set(probes.map(({ method }) => method))).toEqual(new Set(['http']));
    expect(pickedIds(registry)).toEqual([]);
    health.stop();
  });

  it('holds nothing against a backend that could not be checked for a reason of ours', async () => {
    const { health, registry, log, probes, world } = setUp({ intervalMs: 30_000 }, [
      A,
      'http://localhost:8082',
    ]);
    health.sync();
    await vi.advanceTimersByTimeAsync(0);
    world.answer = () => ({
      isPassed: false,
      hasConnected: false,
      code: 'EMFILE',
      isInconclusive: true,
    });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(pickedIds(registry)).toEqual([0, 1]);
    expect(registry.backend(0)?.isUnreachable).toBe(false);
    // Checked again soon.
    expect(probes.length).toBeGreaterThan(60);
    expect(health.counts(0)).toMatchObject({ failed: 0 });
    expect(health.counts(0).inconclusive).toBeGreaterThan(30);
    world.answer = () => ({ isPassed: true });
    await vi.advanceTimersByTimeAsync(1000);
    expect(log.events('health_check')).toEqual([
      'health_check.inconclusive',
      'health_check.conclusive',
    ]);
    health.stop();
  });

  it.each([500, 30_000, 3_600_000])(
    'has what is down back within 1.5 s of its return, every %d ms or not',
    async (intervalMs) => {
      const { health, registry, world } = setUp({
        intervalMs,
        downIntervalMs: Math.min(1000, intervalMs),
      });
      world.answer = () => ({ isPassed: false, hasConnected: false });
      health.sync();
      for (let downMs = 10_000; downMs < 11_000; downMs += 170) {
        await vi.advanceTimersByTimeAsync(downMs);
        expect(pickedIds(registry)).toEqual([]);
        world.answer = () => ({ isPassed: true });
        await vi.advanceTimersByTimeAsync(1500);
        expect(pickedIds(registry)).toEqual([0]);
        world.answer = () => ({ isPassed: false, hasConnected: false });
        health.connectFailed(0, 'refused');
      }
      health.stop();
    },
  );

  it('asks less often after a minute of being down', async () => {
    const { health, probes, world } = setUp({ intervalMs: 30_000 });
    world.answer = () => ({ isPassed: false, hasConnected: false });
    health.sync();
    await vi.advanceTimersByTimeAsync(60_500);
    expect(probes.length).toBeGreaterThanOrEqual(60);
    const before = probes.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(probes.length - before).toBeLessThanOrEqual(13);
    expect(probes.length - before).toBeGreaterThanOrEqual(11);
    health.stop();
  });

  it('begins with fifty checks at a time, and lets nobody wait for those that get no answer', async () => {
    const urls = Array.from(
      { length: 500 },
      (_, index) => `http://10.0.${index >> 8}.${index & 255}:80`,
    );
    const { health, registry, probes, world } = setUp({}, urls);
    let running = 0;
    let most = 0;
    world.wait = async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 20));
      running--;
    };
    health.sync();
    await vi.advanceTimersByTimeAsync(200);
    expect(most).toBe(50);
    expect(probes.length).toBe(500);
    expect(pickedIds(registry).length).toBe(500);
    health.stop();

    const dead = setUp({}, urls);
    dead.world.wait = (index) => (index < 50 ? new Promise(() => {}) : Promise.resolve());
    dead.health.sync();
    await vi.advanceTimersByTimeAsync(1000);
    expect(pickedIds(dead.registry).length).toBe(450);
    dead.health.stop();
  });

  it('checks one backend a second while the process drains, as long as a request may be retried', async () => {
    const { health, probes, world } = setUp({ intervalMs: 200, downIntervalMs: 200 }, [
      A,
      'http://localhost:8082',
      'http://localhost:8083',
    ]);
    let mayRetry = true;
    health.sync();
    await vi.advanceTimersByTimeAsync(1000);
    world.answer = () => ({ isPassed: false });
    const before = probes.length;
    health.drain(() => mayRetry);
    await vi.advanceTimersByTimeAsync(4000);
    expect(probes.length - before).toBe(4);
    expect(new Set(probes.slice(before).map((request) => request.address.url)).size).toBe(3);
    mayRetry = false;
    await vi.advanceTimersByTimeAsync(4000);
    expect(probes.length - before).toBe(4);
    health.stop();
  });

  it.each([
    ['302', { status: 302 }, 'health_check_path'],
    ['401', { status: 401 }, 'health_check_method: tcp'],
    ['a private authority', { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' }, 'NODE_EXTRA_CA_CERTS'],
    ['TLS on a port that is spoken to without', { code: 'CLOSED' }, 'https://'],
    ['an unknown name', { code: 'ENOTFOUND' }, 'TARGET_BACKEND_URLS'],
  ])('says what would help against %s', async (_what, result, hint) => {
    const { health, registry, log, world } = setUp({ method: 'http' });
    world.answer = () => ({ isPassed: false, ...result });
    health.sync();
    await vi.advanceTimersByTimeAsync(0);
    const [down] = log.lines;
    expect(down?.event).toBe('backend.down');
    expect(down?.fields['hint']).toContain(hint);
    expect(down?.message).toContain(hint);
    expect(registry.backend(0)?.hint).toContain(hint);
    world.answer = () => ({ isPassed: true });
    await vi.advanceTimersByTimeAsync(2000);
    expect(registry.backend(0)?.hint).toBe('');
    health.stop();
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

  it('checks at once where a request got no answer, but not again and again', async () => {
    const { health, probes } = setUp();
    health.sync();
    await vi.advanceTimersByTimeAsync(1_500);
    const before = probes.length;
    for (let turn = 0; turn < 20; turn++) health.answerMissing(0);
    await vi.advanceTimersByTimeAsync(10);
    expect(probes.length).toBe(before + 1);
    for (let turn = 0; turn < 20; turn++) health.answerMissing(0);
    await vi.advanceTimersByTimeAsync(10);
    expect(probes.length).toBe(before + 1);
    health.stop();
    health.answerMissing(0);
  });

  it('knows whether the last check passed', async () => {
    const { health, registry, world } = setUp();
    health.sync();
    await vi.advanceTimersByTimeAsync(1_500);
    expect(registry.backend(0)?.isCheckFailing).toBe(false);
    world.answer = () => ({ isPassed: false });
    health.answerMissing(0);
    await vi.advanceTimersByTimeAsync(10);
    expect(registry.backend(0)).toMatchObject({ isCheckFailing: true, health: 'healthy' });
  });

  it('tells who was away and is healthy again, once, and nobody who only failed checks', async () => {
    const { health, registry, recovered, world } = setUp();
    health.sync();
    await vi.advanceTimersByTimeAsync(10);
    world.answer = () => ({ isPassed: false, hasConnected: true });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(registry.backend(0)?.health).toBe('unhealthy');
    world.answer = () => ({ isPassed: true });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(registry.backend(0)?.health).toBe('healthy');
    expect(recovered).toEqual([]);

    health.connectFailed(0, 'refused');
    expect(registry.backend(0)?.health).toBe('unhealthy');
    await vi.advanceTimersByTimeAsync(10_000);
    expect(recovered).toEqual([0]);

    world.answer = () => ({ isPassed: false, hasConnected: false });
    await vi.advanceTimersByTimeAsync(60_000);
    world.answer = () => ({ isPassed: true });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(recovered).toEqual([0, 0]);
  });
});
