/**
 * A data thread is sent what is different in a snapshot, and makes anew what that is about. Whatever has changed, and in whichever order,
 * it must be where a thread is that begins with the whole snapshot.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PoolSettings, RouteSettings, Settings } from '../../src/config/settings.ts';
import { Registry } from '../../src/control/registry.ts';
import type { Backend } from '../../src/data/backend/backend.ts';
import { setEligible } from '../../src/data/pool/pool-view.ts';
import type { Target } from '../../src/data/pool/target.ts';
import { createView, type View, type ViewParts } from '../../src/data/pool/view.ts';
import type { PoolSnapshot, Snapshot } from '../../src/snapshot/snapshot.ts';
import { applyChange, changeBetween, withEligibility } from '../../src/snapshot/snapshot-change.ts';
import { backend, poolSettings, settings } from '../control/fixtures.ts';
import { matchOf } from '../support/routes.ts';
import { getWith, goodFactsOf, held } from '../wire/parse.ts';
import { viewParts } from './view-parts.ts';

const NO_LOGINS = { hasAny: false, isIn: () => false };
const STRATEGIES = ['round-robin', 'least-connections', 'consistent-hash'] as const;
/** Beside `default`. */
const POOLS = ['web', 'api', 'files'];

/** What a config may say, as far as these tests change it. */
interface Wanted {
  readonly pools: readonly { readonly name: string; readonly policies: Partial<PoolSettings> }[];
  readonly routes: readonly Omit<Partial<RouteSettings>, 'name' | 'match'>[];
  readonly bodyBytes: number;
  readonly instances: number;
  readonly trusted: readonly string[];
  readonly page: string | null;
}

/** All objects are new, also where they say what others have said before. */
function settingsOf(wanted: Wanted): Settings {
  const base = settings({ backends: [backend('http://10.0.0.1:1')] });
  const [plain] = base.routes as [RouteSettings];
  const page = { contentType: 'text/html', body: wanted.page ?? '' };
  return structuredClone({
    ...base,
    pools: [
      ...base.pools,
      ...wanted.pools.map(({ name, policies }) => ({ ...poolSettings(name), ...policies })),
    ],
    routes: wanted.routes.map((route, index) => ({
      ...plain,
      ...route,
      name: `routes.${index}`,
      match: matchOf({ path: `/r${index}` }),
    })),
    limits: { ...base.limits, bodyBytes: wanted.bodyBytes },
    forwarding: { ...base.forwarding, trustedProxies: wanted.trusted },
    errorPages: wanted.page === null ? [] : [{ status: '502', page }],
    instances: wanted.instances,
  } as unknown as Settings);
}

const policies: fc.Arbitrary<Partial<PoolSettings>> = fc.record({
  backends: fc
    .uniqueArray(fc.integer({ min: 1, max: 4 }), { maxLength: 4 })
    .chain((ports) =>
      fc.tuple(
        ...ports.map((port) => fc.integer({ min: 0, max: 3 }).map((weight) => ({ port, weight }))),
      ),
    )
    .map((all) => all.map(({ port, weight }) => backend(`http://10.0.1.1:${port}`, weight))),
  strategy: fc.constantFrom(...STRATEGIES),
  maxRequests: fc.constantFrom(0, 5),
  rateLimit: fc.constantFrom(null, {
    key: { by: 'ip', name: '' },
    rate: 1,
    perMs: 1000,
    burst: 3,
    scope: 'shared',
  }),
  sticky: fc.constantFrom(
    null,
    {
      key: { by: 'cookie', name: 'a' },
      ttlMs: 1000,
      secret: 'secret',
      cookie: { sameSite: 'lax', secure: false, domain: '', path: '/' },
      learns: null,
    } as const,
    {
      key: { by: 'ip', name: '' },
      ttlMs: 1000,
      secret: undefined,
      cookie: null,
      learns: null,
    } as const,
  ),
} satisfies { [Key in keyof PoolSettings]?: unknown }) as fc.Arbitrary<Partial<PoolSettings>>;

function routeTo(pools: readonly string[]): fc.Arbitrary<Wanted['routes'][number]> {
  const pool = fc.constantFrom('default', ...pools);
  const action = fc.oneof(
    pool.map((name) => ({ kind: 'pool', pool: name }) as const),
    fc.tuple(pool, pool).map(
      ([one, other]) =>
        ({
          kind: 'split',
          parts: [
            { pool: one, weight: 1, name: 'one' },
            { pool: other, weight: 2, name: 'other' },
          ],
        }) as const,
    ),
    fc.constant({ kind: 'answer', answer: { status: 204, headers: [], body: '' } } as const),
  );
  return fc.record({
    action,
    mirror: fc.oneof(
      fc.constant(null),
      pool.map((name) => ({ pool: name, percent: 50 })),
    ),
    policies: fc.constantFrom(null, { timeouts: {}, retries: {}, bodyBytes: 7 } as const),
  });
}

const wantedConfig: fc.Arbitrary<Wanted> = fc
  .uniqueArray(fc.constantFrom(...POOLS), { maxLength: POOLS.length })
  .chain((names) =>
    fc.record({
      pools: fc.tuple(...names.map((name) => policies.map((of) => ({ name, policies: of })))),
      routes: fc.array(routeTo(names), { minLength: 1, maxLength: 4 }),
      bodyBytes: fc.constantFrom(0, 100),
      instances: fc.constantFrom(1, 2),
      trusted: fc.constantFrom([], ['10.0.0.0/8']),
      page: fc.constantFrom(null, '<p>later</p>'),
    }),
  );

type Step =
  | { readonly kind: 'config'; readonly wanted: Wanted }
  /** As it is in force, read again. */
  | { readonly kind: 'reload' }
  | { readonly kind: 'publish' }
  | {
      readonly kind: 'weight' | 'health' | 'flip' | 'remove';
      readonly of: number;
      readonly to: number;
    }
  | { readonly kind: 'strategy'; readonly of: number; readonly to: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  wantedConfig.map((wanted) => ({ kind: 'config', wanted }) as const),
  fc.constant({ kind: 'reload' } as const),
  fc.constant({ kind: 'publish' } as const),
  fc.record({
    kind: fc.constantFrom('weight', 'health', 'flip', 'remove', 'strategy'),
    of: fc.nat(20),
    to: fc.nat(2),
  }),
);

/** Both planes, but for the threads: what goes from one to the other is cloned as a message is. */
class Planes {
  readonly registry: Registry;
  readonly parts: ViewParts = viewParts();
  #wanted: Wanted;
  /** What the control plane knows to be known. */
  #sent: Snapshot;
  told: Snapshot;
  view: View;

  constructor(wanted: Wanted) {
    this.#wanted = wanted;
    this.registry = new Registry({ settings: settingsOf(wanted), threadCount: 1, now: () => 0 });
    this.#sent = this.registry.snapshot();
    this.told = structuredClone(this.#sent);
    this.view = createView(this.told, null, this.parts);
  }

  take(one: Step): void {
    const { registry } = this;
    const backends = registry.backends();
    const of = 'of' in one ? backends[one.of % backends.length] : undefined;
    const pool = of && registry.poolOf(of.id);
    if (one.kind === 'config') this.#wanted = one.wanted;
    if (one.kind === 'config' || one.kind === 'reload')
      registry.applyConfig(settingsOf(this.#wanted));
    if (one.kind === 'strategy') pool?.planStrategy(STRATEGIES[one.to] ?? 'round-robin').commit();
    if (one.kind === 'weight' && of) pool?.planUpdate(of.id, { weight: one.to }).commit();
    if (one.kind === 'remove' && of) pool?.planRemove(of.id).commit();
    if (one.kind === 'health' || one.kind === 'flip') {
      const health = one.to === 0 ? 'unhealthy' : 'healthy';
      if (of) pool?.live.setHealth(of.id, health, 'because');
    }
    if (one.kind === 'flip' && pool) this.#flip(pool.id, pool.eligibility());
    else this.#publish();
  }

  #publish(): void {
    const now = this.registry.snapshot();
    const change = structuredClone(changeBetween(this.#sent, now));
    this.#sent = now;
    this.told = applyChange(this.told, change);
    this.view = createView(this.told, this.view, this.parts);
  }

  /** A message of its own, as for the checks of a pool: it may be ahead of what was published, but not behind. */
  #flip(poolId: number, eligibility: PoolSnapshot['eligibility']): void {
    const pool = this.view.pools.get(poolId);
    if (pool === undefined) return;
    this.#sent = withEligibility(this.#sent, poolId, eligibility);
    const cloned = structuredClone(eligibility);
    this.told = withEligibility(this.told, poolId, cloned);
    const spec = this.told.pools.find(({ id }) => id === poolId);
    if (spec !== undefined) setEligible(pool.view, spec);
  }
}

/** Without the counters, which are memory that is shared and says nothing. */
function said(snapshot: Snapshot): unknown {
  return {
    ...snapshot,
    pools: snapshot.pools.map((pool) => ({
      ...pool,
      counters: null,
      backends: pool.backends.map((one) => ({ ...one, counters: null })),
    })),
    routes: snapshot.routes.map((route) => ({ ...route, counters: null })),
  };
}

function picksOf(backends: readonly Backend[]): unknown {
  return backends.map(({ id, weight }) => ({ id, weight }));
}

/** All that requests go by, in words. */
function described(view: View): unknown {
  const pools = [...view.pools.values()].map(({ id, view: of }) => ({
    id,
    name: of.spec.name,
    strategy: of.strategy.constructor.name,
    picks: picksOf(of.eligible),
    spares: picksOf(of.spares),
    keepers: picksOf(of.keepers),
    hint: of.hint,
    panic: of.panicLine,
    maxRequests: of.spec.maxRequests,
    sessions: of.sessions?.constructor.name,
    backends: [...of.backends].map(([key, { spec }]) => [key, { ...spec, counters: null }]),
    bodyBytes: of.rules.limits.bodyBytes,
    limiter: of.policies.rateLimiter,
    picked: of.eligible.length > 0 && of.strategy.preview('client', null).backend !== null,
  }));
  return {
    pools,
    first: view.defaultPool.id,
    backends: [...view.backends.keys()],
    heads: view.headLimits,
    trusted: view.trustedProxies?.check('10.1.1.1', 'ipv4'),
    forward: view.forwardRules,
    pages: view.snapshot.errorPages,
    routes: view.snapshot.routes.map((_route, index) => describedRoute(view, index)),
  };
}

function describedRoute(view: View, index: number): unknown {
  const text = getWith().replace('GET /', `GET /r${index}`);
  const head = held('request', text);
  const target = view.router?.find(goodFactsOf(text), head, false) ?? 'all';
  if (typeof target === 'string') return target;
  const parts = new Set<unknown>();
  for (let turn = 0; turn < 12 && target.split !== null; turn++) {
    const part = target.split.choose(head, '/', `10.9.9.${turn}`, NO_LOGINS);
    parts.add(JSON.stringify(describedTarget(part)));
  }
  return { ...describedTarget(target), parts: [...parts].toSorted() };
}

function describedTarget({ route, pool, policies: its, terms, mirror, part }: Target): object {
  const { bodyBytes, rateLimiter, timeouts, retries, needsKeys } = its;
  return {
    route,
    pool: pool.id,
    policies: { bodyBytes, rateLimiter, timeouts, retries, needsKeys },
    terms: terms !== null,
    mirror: mirror && { pool: mirror.pool.id, timeouts: mirror.policies.timeouts },
    part,
  };
}

test('whatever changes, a thread that is sent the changes is where one is that begins with the whole', () => {
  fc.assert(
    fc.property(wantedConfig, fc.array(step, { maxLength: 12 }), (wanted, steps) => {
      const planes = new Planes(wanted);
      for (const one of steps) {
        planes.take(one);
        const whole = structuredClone(planes.registry.snapshot());
        if (one.kind === 'flip') continue;
        expect(said(planes.told)).toEqual(said(whole));
        expect(described(planes.view)).toEqual(described(createView(whole, null, planes.parts)));
      }
    }),
    { numRuns: 40 },
  );
});

test('a change of one backend is sent alone, and leaves the views of other pools and what leads there', () => {
  const planes = new Planes({
    pools: POOLS.map((name, index) => ({
      name,
      policies: { backends: [1, 2].map((port) => backend(`http://10.0.${index}.9:${port}`)) },
    })),
    routes: POOLS.map((pool) => ({ action: { kind: 'pool', pool } })),
    bodyBytes: 0,
    instances: 1,
    trusted: [],
    page: null,
  });
  const { registry } = planes;
  const before = registry.snapshot();
  const viewBefore = planes.view;
  const viewsBefore = [...viewBefore.pools.values()].map(({ view }) => view);
  planes.take({ kind: 'weight', of: 1, to: 2 });
  const change = changeBetween(before, registry.snapshot());
  expect(change.routes).toBeNull();
  expect(Object.keys(change.fields)).toEqual(['generation']);
  const [, changed] = change.pools ?? [];
  expect(change.pools).toEqual([0, changed, 2, 3]);
  expect(changed).toMatchObject({
    kind: 'changed',
    was: 1,
    fields: {},
    backends: [{ weight: 2 }, 1],
  });
  const views = [...planes.view.pools.values()].map(({ view }) => view);
  expect(views.map((view, index) => view === viewsBefore[index])).toEqual([
    true,
    false,
    true,
    true,
  ]);
  const targets = [viewBefore, planes.view].map((view) =>
    POOLS.map((_pool, index) => {
      const text = getWith().replace('GET /', `GET /r${index}`);
      return view.router?.find(goodFactsOf(text), held('request', text), false);
    }),
  );
  const kept = targets[1]?.map((target, index) => target === targets[0]?.[index]);
  expect(kept).toEqual([false, true, true]);
});

test('what a message has said of a pool makes no other view of it, then or with a change of another pool', () => {
  const planes = new Planes({
    pools: POOLS.map((name, index) => ({
      name,
      policies: { backends: [backend(`http://10.0.${index}.9:1`)] },
    })),
    routes: [{ action: { kind: 'pool', pool: 'web' } }],
    bodyBytes: 0,
    instances: 1,
    trusted: [],
    page: null,
  });
  const poolsBefore = planes.told.pools;
  const viewsBefore = [...planes.view.pools.values()].map(({ view }) => view);
  planes.take({ kind: 'flip', of: 1, to: 0 });
  const told = planes.told.pools.map((pool, index) => pool === poolsBefore[index]);
  expect(told).toEqual([true, false, true, true]);
  planes.take({ kind: 'weight', of: 2, to: 2 });
  const views = [...planes.view.pools.values()].map(({ view }) => view);
  const kept = views.map((view, index) => view === viewsBefore[index]);
  expect(kept).toEqual([true, true, false, true]);
  expect(withEligibility(planes.told, 99, poolsBefore[0]!.eligibility)).toBe(planes.told);
});

test('a config that is read again and says the same is no change, though its objects are others', () => {
  const planes = new Planes({
    pools: [{ name: 'web', policies: { backends: [backend('http://10.0.1.1:1')] } }],
    routes: [{ action: { kind: 'pool', pool: 'web' } }],
    bodyBytes: 0,
    instances: 1,
    trusted: ['10.0.0.0/8'],
    page: '<p>later</p>',
  });
  const before = planes.registry.snapshot();
  planes.registry.applyConfig({ ...structuredClone(planes.registry.settings), drainMs: 77 });
  const change = changeBetween(before, planes.registry.snapshot());
  expect(change).toEqual({ fields: { generation: 2 }, pools: null, routes: null });
});

test('a change of another snapshot than the one in force is refused', () => {
  const planes = new Planes({
    pools: [],
    routes: [{ action: { kind: 'pool', pool: 'default' } }],
    bodyBytes: 0,
    instances: 1,
    trusted: [],
    page: null,
  });
  expect(() => applyChange(planes.told, { fields: {}, pools: [0, 1], routes: null })).toThrow(
    'a change of another snapshot than the one in force',
  );
});
