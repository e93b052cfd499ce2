/** `/status`, `/strategy`, and what probes and scrapers ask. */

import { DEFAULT_POOL, type Settings } from '../../config/settings.ts';
import { didYouMean } from '../../config/values/nearest.ts';
import { canonicalStrategy, STRATEGY_ALIASES } from '../../config/values/strategy-name.ts';
import { PROMETHEUS_CONTENT_TYPE } from '../../observe/prometheus.ts';
import { type ListenerSnapshot, STRATEGY_NAMES } from '../../snapshot/snapshot.ts';
import type { Backend } from '../backend.ts';
import { viewStatus } from '../backend-view.ts';
import type { RefusedReload } from '../collect-metrics.ts';
import type { CounterEngineView } from '../counter-engine/counter-engine.ts';
import type { Drains } from '../drains.ts';
import type { LeaverView } from '../leavers.ts';
import type { Operator } from '../operator.ts';
import type { PoolRegistry } from '../pool-registry.ts';
import type { Registry } from '../registry.ts';
import { unkeptChanges } from '../state/unkept-changes.ts';
import { live, ready, status as statusForm, strategyInForce } from './answers.ts';
import { strategyChoice } from './bodies.ts';
import { clip, parseObject, requireText } from './body.ts';
import { etagOf } from './etag.ts';
import { answer, jsonBody, plainAnswer } from './form.ts';
import { KEEPING } from './parameters.ts';
import { poolOf } from './pool-routes.ts';
import { ProblemError } from './problem.ts';
import type { AdminAnswer, AdminCall, Operation, Route } from './router.ts';
import { inForce } from './terms.ts';

export interface StatusRoutesOptions {
  readonly registry: Registry;
  readonly operator: Operator;
  readonly drains: Drains;
  readonly threadCount: number;
  readonly uptimeSeconds: () => number;
  /** Those that are open. */
  readonly listeners: () => readonly ListenerSnapshot[];
  /** Backends that are removed, and requests in flight there. */
  readonly leaving: () => readonly LeaverView[];
  /** Null: no limit is counted for all instances. */
  readonly counterEngine: () => CounterEngineView | null;
  /** Null: the last one was not, or there was none. */
  readonly refusedReload: () => RefusedReload | null;
  /** The Prometheus page. */
  readonly metrics: () => string;
  /** Undefined: ready. Else why not. */
  readonly notReady: () => string | undefined;
  /** Undefined: all is well. Else what is not, though requests are served. */
  readonly degraded: () => string | undefined;
}

const STRATEGY = answer('The one in force.', strategyInForce);

export function statusRoutes(options: StatusRoutesOptions): Route[] {
  const { registry, operator, drains, threadCount, uptimeSeconds, listeners } = options;
  const { leaving, metrics, notReady, degraded, counterEngine, refusedReload } = options;

  /** Those of a pool that is gone as well have to be shown somewhere. */
  function isShownWith(leaver: LeaverView, { name }: PoolRegistry): boolean {
    if (leaver.pool === name) return true;
    return name === DEFAULT_POOL && registry.pool(leaver.pool) === undefined;
  }

  function notKept({ name, settings }: PoolRegistry): object {
    const changes = { inForce: registry.operatorState, kept: registry.keptState };
    const unkept = unkeptChanges(changes, name, settings.strategy);
    return unkept.length > 0 ? { not_kept: unkept } : {};
  }

  function showStrategy(call: AdminCall): AdminAnswer {
    const pool = poolOf(call, registry);
    return {
      status: 200,
      body: {
        strategy: pool.strategy,
        source: pool.strategySource,
        ...(!pool.isStrategyKept && { kept: false }),
      },
      headers: { ETag: etagOf(registry) },
    };
  }

  async function setStrategy(call: AdminCall): Promise<AdminAnswer> {
    const { name: pool } = poolOf(call, registry);
    const name = requireText(parseObject(call.body, strategyChoice), 'strategy');
    const strategy = canonicalStrategy(name);
    if (strategy === undefined) {
      const names = [...STRATEGY_NAMES, ...Object.keys(STRATEGY_ALIASES)];
      throw new ProblemError(
        422,
        'ERR_UNKNOWN_STRATEGY',
        `There is no strategy ${JSON.stringify(clip(name))}; there are ${names.join(', ')}.`,
        { ...didYouMean(name, names), members: { strategies: STRATEGY_NAMES } },
      );
    }
    await inForce(operator, call, (terms) => operator.setStrategy(pool, strategy, terms));
    return showStrategy(call);
  }

  const changing: Operation = {
    says: 'changes the strategy',
    query: { ...KEEPING },
    body: jsonBody(strategyChoice),
    answers: { 200: STRATEGY },
    handle: setStrategy,
  };

  return [
    {
      path: '/status',
      summary: 'the strategy and all backends',
      isOfPool: true,
      methods: {
        GET: {
          says: 'the strategy, and every backend',
          answers: { 200: answer('Of one pool.', statusForm) },
          handle: (call) => {
            const pool = poolOf(call, registry);
            const { generation } = registry;
            const view = viewStatus(pool, threadCount, uptimeSeconds(), generation, listeners());
            const backends = pool.backends();
            return {
              status: 200,
              body: {
                ...view,
                backends: view.backends.map((one, index) =>
                  drains.shown(one, backends[index] as Backend),
                ),
                leaving: leaving().filter((one) => isShownWith(one, pool)),
                ...notKept(pool),
                ...counterEngineOf(counterEngine(), registry.settings),
                ...refusalOf(refusedReload()),
              },
              headers: { ETag: etagOf(registry) },
            };
          },
        },
      },
    },
    {
      path: '/strategy',
      summary: 'the strategy; switch it ({"strategy": "least-connections"})',
      isOfPool: true,
      methods: {
        GET: { says: 'the strategy', answers: { 200: STRATEGY }, handle: showStrategy },
        PUT: changing,
        POST: changing,
      },
    },
    {
      path: '/metrics',
      summary: 'metrics for Prometheus',
      methods: {
        GET: {
          says: 'metrics',
          answers: {
            200: {
              says: 'In the text format of Prometheus.',
              contentType: PROMETHEUS_CONTENT_TYPE,
            },
          },
          handle: () => ({ status: 200, body: metrics(), contentType: PROMETHEUS_CONTENT_TYPE }),
        },
      },
    },
    {
      path: '/livez',
      summary: '200 while the process works',
      isOpen: true,
      methods: {
        GET: {
          says: '200 while the process works',
          answers: { 200: plainAnswer('It does.', live) },
          handle: () => ({ status: 200, body: { status: 'live' } }),
        },
      },
    },
    {
      path: '/readyz',
      summary: '200 while requests are accepted, 503 before and while shutting down',
      isOpen: true,
      methods: {
        GET: {
          says: '200 while requests are accepted',
          answers: { 200: plainAnswer('They are.', ready) },
          problems: [503],
          handle: () => {
            const reason = notReady();
            const why = degraded();
            const body = { status: 'ready', ...(why !== undefined && { degraded: true, why }) };
            if (reason === undefined) return { status: 200, body };
            throw new ProblemError(503, 'ERR_NOT_READY', reason);
          },
        },
      },
    },
  ];
}

function refusalOf(refused: RefusedReload | null): object {
  if (refused === null) return {};
  return { refused_reload: { at: refused.at.toISOString(), reason: refused.reason } };
}

function counterEngineOf(engine: CounterEngineView | null, settings: Settings): object {
  if (engine === null) return {};
  const { url, isUp, lastError, lastErrorAt, counts } = engine;
  return {
    rate_limit_engine: {
      url,
      state: isUp ? 'up' : 'down',
      last_error: lastError,
      last_error_at: lastErrorAt?.toISOString() ?? null,
      on_engine_down: withoutEngine(settings),
      calls: counts.granted + counts.refused,
      failed_calls: counts.timedOut + counts.failed,
    },
  };
}

/** Each pool is asked for, and there may be thousands, with as many routes. */
const foundWithoutEngine = new WeakMap<Settings, readonly string[]>();

/** What the limits of all instances do where nobody counts them, in pools and routes. */
function withoutEngine(settings: Settings): readonly string[] {
  const found = foundWithoutEngine.get(settings);
  if (found !== undefined) return found;
  const limits = [
    ...settings.pools.map(({ rateLimit }) => rateLimit),
    ...settings.routes.map(({ policies }) => policies?.rateLimit),
  ];
  const modes = [...new Set(limits.flatMap((limit) => limit?.onEngineDown ?? []))].toSorted();
  foundWithoutEngine.set(settings, modes);
  return modes;
}
