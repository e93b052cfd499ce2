/** What one process knows as text, and what another one makes of it: also of what it can't understand. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Pools } from '../../src/control/pools.ts';
import { Registry } from '../../src/control/registry.ts';
import { NO_OPERATOR_STATE } from '../../src/control/state/operator-state.ts';
import { describeBackends, KnownBackends } from '../../src/control/upgrade/known-backends.ts';
import {
  describeClients,
  describeOrigin,
  readOrigin,
  takeUpClients,
} from '../../src/control/upgrade/known-clients.ts';
import { SessionTable } from '../../src/data/balance/session-table.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { createClientTables } from '../../src/snapshot/client-table.ts';
import { processClockOffsetMs } from '../../src/snapshot/process-clock.ts';
import { afterTest } from '../support/after-test.ts';
import { backend, poolSettings, settings } from './fixtures.ts';

const { logger: log } = createLogger({ level: 'error', writer: null });
const URLS = ['http://127.0.0.1:1', 'http://127.0.0.1:2', 'http://127.0.0.1:3'];
const now = (): number => performance.now() + processClockOffsetMs();

function registryOf(urls: readonly string[], nowMs = 0): Registry {
  const backends = urls.map((url) => backend(url));
  return new Registry({ settings: settings({ backends }), threadCount: 1, now: () => nowMs });
}

const probe = (): Promise<never> => new Promise(() => {});

function runningPools(registry: Registry): Pools {
  const pools = new Pools({ registry, log, probe, threadCount: 1, publish: () => {} });
  afterTest(() => pools.stop());
  return pools;
}

describe('what is known of backends', () => {
  it('is there by URL, with times by another clock', () => {
    const before = registryOf(URLS, 5_000);
    const { live } = before.defaultPool;
    live.setHealth(0, 'healthy', 'passed');
    live.setHealth(2, 'unhealthy', 'refused');
    live.recordCheck(2, false);
    live.setHint(2, 'start it');
    live.setUnreachable(2, true);
    const told = describeBackends(runningPools(before).all());
    const after = registryOf(URLS.toReversed(), 1_000_000);
    new KnownBackends(told).begin(runningPools(after).all());
    const [third, second, first] = after.backends();
    expect(first).toMatchObject({ health: 'healthy', lastReason: 'passed', lastCheck: undefined });
    expect(second).toMatchObject({ health: 'unknown' });
    expect(third).toMatchObject({
      health: 'unhealthy',
      lastReason: 'refused',
      lastCheck: 1_000_000,
      lastChange: 1_000_000,
      hint: 'start it',
      isUnreachable: true,
      isCheckFailing: true,
    });
  });

  it('of a pool that comes later, as in a cluster, is taken up then, and once', () => {
    const late = settings({}, [
      poolSettings('late', { backends: [backend('http://127.0.0.1:1')] }),
    ]);
    const before = new Registry({ settings: late, threadCount: 1, now: () => 5_000 });
    const pool = before.pool('late');
    pool?.live.setHealth(pool.backends()[0]?.id ?? -1, 'healthy', 'passed');
    const told = JSON.parse(describeBackends(runningPools(before).all()));
    told.pools.late.breaker = { remainingMs: 60_000, openMs: 60_000, reason: 'many failed' };
    const after = new Registry({ settings: settings(), threadCount: 1, now: () => 9_000 });
    const running = runningPools(after);
    const known = new KnownBackends(JSON.stringify(told));
    known.begin(running.all());
    expect(known.counts).toMatchObject({ healthy: 0, open: 0 });
    after.applyShared({ settings: late, state: NO_OPERATOR_STATE, revision: 1 });
    running.sync(after.snapshot());
    known.goOn(running.all());
    known.goOn(running.all());
    expect(known.counts).toMatchObject({ healthy: 1, open: 1 });
    expect(after.pool('late')?.backends()[0]).toMatchObject({ health: 'healthy' });
  });

  it('by checks of another kind is not health', () => {
    const before = registryOf(URLS);
    before.defaultPool.live.setHealth(0, 'healthy', 'passed');
    const told = describeBackends(runningPools(before).all());
    const backends = URLS.map((url) => backend(url));
    const { healthCheck } = before.defaultPool.settings;
    const after = new Registry({
      settings: settings({ backends, healthCheck: { ...healthCheck, path: '/other' } }),
      threadCount: 1,
    });
    new KnownBackends(told).begin(runningPools(after).all());
    expect(after.backends()[0]).toMatchObject({ health: 'unknown' });
  });

  it('by another version holds as far as it is understood', () => {
    const before = registryOf(URLS);
    before.defaultPool.live.setHealth(0, 'healthy', 'passed');
    before.defaultPool.live.setHealth(1, 'healthy', 'passed');
    const told = JSON.parse(describeBackends(runningPools(before).all()));
    told.pools.default.mood = 'good';
    told.pools.default.backends[`${URLS[0]}`].health.colour = 'green';
    told.pools.default.backends[`${URLS[1]}`].health.health = 'so-so';
    told.pools.default.backends[`${URLS[1]}`].ejection = { until: 'tomorrow' };
    told.pools.other = 7;
    const after = registryOf(URLS);
    const known = new KnownBackends(JSON.stringify(told));
    known.begin(runningPools(after).all());
    expect(after.backends().map(({ health }) => health)).toEqual(['healthy', 'unknown', 'unknown']);
    expect(known.counts).toEqual({ healthy: 1, unhealthy: 0, ejected: 0, open: 0 });
  });

  it.each([
    undefined,
    '',
    '{',
    '[]',
    'null',
    '{"version":2,"pools":{}}',
    '{"version":1,"pools":[]}',
  ])('is nothing where it is %s', (told) => {
    const after = registryOf(URLS);
    new KnownBackends(told).begin(runningPools(after).all());
    expect(after.backends().every(({ health }) => health === 'unknown')).toBe(true);
  });
});

describe('what is known of clients', () => {
  it('is found again under the ids that backends have now, and not that of backends that are gone', () => {
    const key = fc.string({ minLength: 1, maxLength: 20 });
    const home = fc.integer({ min: 0, max: 2 });
    fc.assert(
      fc.property(fc.array(fc.tuple(key, home), { maxLength: 60 }), (sessions) => {
        const before = registryOf(URLS);
        const tables = createClientTables(2);
        const said = new SessionTable(
          { memory: tables.sessions, owner: 'default', ttlMs: 60_000 },
          now,
          () => {},
        );
        said.rebuild(before.backends());
        for (const [name, index] of sessions) said.put(name, { id: index } as never);
        // The second is gone, the others have changed places.
        const after = registryOf([URLS[2] as string, URLS[0] as string]);
        const here = createClientTables(1, readOrigin(describeOrigin(tables)));
        takeUpClients(describeClients(tables, before.pools()), here, after.pools());
        const found = new SessionTable(
          { memory: here.sessions, owner: 'default', ttlMs: 60_000 },
          now,
          () => {},
        );
        found.rebuild(after.backends());
        const other = new SessionTable(
          { memory: here.sessions, owner: 'other', ttlMs: 60_000 },
          now,
          () => {},
        );
        other.rebuild(after.backends());
        for (const [name, index] of new Map(sessions)) {
          expect(found.peek(name)?.id).toBe([1, undefined, 0][index]);
          expect(other.peek(name)).toBeNull();
        }
      }),
      { numRuns: 50 },
    );
  });

  it('that has expired is left out, and what is known already is newer', () => {
    const before = registryOf(URLS);
    const tables = createClientTables(1);
    const brief = new SessionTable(
      { memory: tables.sessions, owner: 'default', ttlMs: -60_000 },
      now,
      () => {},
    );
    brief.put('gone', { id: 0 });
    const said = new SessionTable(
      { memory: tables.sessions, owner: 'default', ttlMs: 60_000 },
      now,
      () => {},
    );
    said.put('client', { id: 0 });
    const here = createClientTables(1, readOrigin(describeOrigin(tables)));
    const found = new SessionTable<{ id: number }>(
      { memory: here.sessions, owner: 'default', ttlMs: 60_000 },
      now,
      () => {},
    );
    found.rebuild(before.backends());
    found.put('client', { id: 2 });
    const count = takeUpClients(describeClients(tables, before.pools()), here, before.pools());
    expect(count).toEqual({ sessions: 1, rates: 0 });
    expect(found.peek('client')?.id).toBe(2);
  });

  it('stays within its bounds, however many there were', () => {
    const tables = createClientTables(1);
    const said = new SessionTable(
      { memory: tables.sessions, owner: 'default', ttlMs: 60_000 },
      now,
      () => {},
    );
    for (let client = 0; client < 100_000; client++) said.put(`client ${client}`, { id: 0 });
    const told = describeClients(tables, registryOf(URLS).pools());
    expect(told.length).toBeLessThan(1_500_000);
  });

  it('is nothing where it makes no sense', () => {
    const tables = createClientTables(1);
    const { pools } = { pools: registryOf(URLS).pools() };
    const bases = [describeOrigin(tables), describeClients(tables, pools)];
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.tuple(fc.constantFrom(...bases), fc.nat(400)).map(([text, at]) => text.slice(0, at)),
        ),
        (text) => {
          if (bases.includes(text)) return;
          expect(readOrigin(text)).toBeUndefined();
          expect(takeUpClients(text, tables, pools)).toEqual({ sessions: 0, rates: 0 });
        },
      ),
    );
    const later = { ...JSON.parse(describeOrigin(tables)), epochMs: now() + 1_000_000 };
    expect(readOrigin(JSON.stringify(later))).toBeUndefined();
  });
});
