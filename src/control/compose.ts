/** Puts the parts of the control plane together: who hears of what, and who tells whom. Nothing runs yet. */
import type { Settings } from '../config/settings.ts';
import { renderPrometheus } from '../observe/prometheus.ts';
import { readPoolCounters } from '../snapshot/pool-counters.ts';
import type { PoolSnapshot } from '../snapshot/snapshot.ts';
import { backendRoutes } from './admin/backend-routes.ts';
import { configRoutes, indexRoute } from './admin/config-routes.ts';
import type { Route } from './admin/router.ts';
import { statusRoutes } from './admin/status-routes.ts';
import { createMetricsCollector, type MetricsCollector } from './collect-metrics.ts';
import type { FairleadContext } from './context.ts';
import { DataThreads } from './data-threads.ts';
import { Drains } from './drains.ts';
import { HealthChecker } from './health.ts';
import type { KeptState } from './kept-state.ts';
import { Leavers } from './leavers.ts';
import type { Logs } from './logs.ts';
import { Operator } from './operator.ts';
import { PoolWatch } from './pool-watch.ts';
import { probe } from './probe.ts';
import { Registry } from './registry.ts';
import { Reloads } from './reloads.ts';
import { steadyTime } from './steady-time.ts';
import { VERSION } from './version.ts';

/** Seen from outside: by `/readyz`. */
export interface Phase {
  now: 'starting' | 'running' | 'ending';
}

export interface ComposeOptions {
  readonly settings: Settings;
  readonly context: FairleadContext;
  readonly logs: Logs;
  readonly kept: KeptState;
  /** Of data threads; 0: one data plane in this thread. */
  readonly threadCount: number;
  readonly phase: Phase;
  /** Another entry file of the data threads, for tests. */
  readonly workerUrl: URL | undefined;
}

export interface Parts {
  readonly registry: Registry;
  readonly threads: DataThreads;
  readonly health: HealthChecker;
  readonly watch: PoolWatch;
  readonly operator: Operator;
  readonly reloads: Reloads;
  readonly metrics: MetricsCollector;
  readonly routes: readonly Route[];
}

export function compose(options: ComposeOptions): Parts {
  const { settings, context, logs, kept, phase, workerUrl } = options;
  const { log } = logs;
  const startedAt = performance.now();
  const threads = new DataThreads({
    count: options.threadCount,
    log,
    onConnectFailed: ({ backendId, code, detail }) =>
      health.connectFailed(backendId, `a request could not connect: ${detail} (${code})`),
    onNoAnswer: ({ backendId }) => health.answerMissing(backendId),
    onFaultsInARow: (message) => watch.faultsInARow(message),
    onTunnelsCut: ({ backendId, count }) => drains.tunnelsCut(backendId, count),
    onRequestsCut: ({ backendId, count }) => drains.requestsCut(backendId, count),
    onAccessLog: (lines, count, release) => logs.writeAccess(lines, count, release),
    ...(workerUrl && { workerUrl }),
  });
  const { threadCount } = threads;
  const registry = new Registry({
    settings,
    threadCount,
    operatorState: kept.found,
    now: steadyTime,
  });
  const health = new HealthChecker({
    registry,
    log,
    probe,
    onChange: () => watch.refresh(),
    onPassed: (id, checkedFrom) => watch.checkPassed(id, checkedFrom),
    onRecovered: (id) => watch.recovered(id),
  });
  const watch = new PoolWatch({
    registry,
    log,
    threadCount,
    publish: (eligibility) => threads.setEligible(0, eligibility),
  });
  const drains = new Drains({
    log,
    threadCount,
    tell: (message) => threads.drainBackend(message),
    hasSessions: () => registry.settings.sticky !== null,
    async moveSessions(id, areMoved) {
      registry.live.setSessionsMoved(id, areMoved);
      watch.refresh();
      await threads.settled();
    },
  });
  const leavers = new Leavers(threadCount);
  leavers.sync(registry.backends());
  const operator = new Operator({
    registry,
    store: kept.store,
    log,
    drains,
    async publish() {
      const snapshot = registry.snapshot();
      leavers.sync(registry.backends());
      const applied = threads.apply(snapshot);
      watch.sync((snapshot.pools[0] as PoolSnapshot).eligibility);
      health.sync();
      await Promise.all([applied, kept.keepSecret(registry.keptState)]);
    },
  });
  const reloads = new Reloads({ context, registry, operator, logs });
  const metrics = createMetricsCollector({
    registry,
    health,
    watch,
    threads,
    reloads: reloads.counts,
    droppedLogLines: () => logs.droppedLines(),
    version: VERSION,
  });
  const routes = [
    ...statusRoutes({
      registry,
      operator,
      threadCount,
      leaving: () => leavers.view(),
      uptimeSeconds: () => (performance.now() - startedAt) / 1000,
      queued: () => readPoolCounters(registry.poolCounters, threadCount).queued,
      metrics: () => renderPrometheus(metrics.collect()),
      notReady: () => (phase.now === 'running' ? undefined : `Fairlead is ${phase.now}.`),
    }),
    ...backendRoutes({
      registry,
      operator,
      drains,
      health,
      threadCount,
      settled: () => threads.settled(),
    }),
    ...configRoutes({
      registry,
      operator,
      context,
      reload: (precondition) => reloads.reload(precondition),
    }),
  ];
  return {
    registry,
    threads,
    health,
    watch,
    operator,
    reloads,
    metrics,
    routes: [...routes, indexRoute(routes)],
  };
}
