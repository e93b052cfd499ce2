/** Puts the parts of the control plane together: who hears of what, and who tells whom. Nothing runs yet. */
import type { Settings } from '../config/settings.ts';
import type { Functions } from '../data/relay/hooks.ts';
import { renderPrometheus } from '../observe/prometheus.ts';
import type { ClientTablesOrigin } from '../snapshot/client-table.ts';
import type { ListenerSnapshot } from '../snapshot/snapshot.ts';
import { AcmePlace } from './acme/acme-place.ts';
import { backendRoutes } from './admin/backend-routes.ts';
import { certificateRoutes } from './admin/certificate-routes.ts';
import { clusterRoutes } from './admin/cluster-routes.ts';
import { configRoutes, indexRoute } from './admin/config-routes.ts';
import { eventRoutes } from './admin/event-routes.ts';
import { explainRoutes } from './admin/explain-routes.ts';
import { listenerRoutes } from './admin/listener-routes.ts';
import { openApiRoute } from './admin/openapi.ts';
import { poolRoutes } from './admin/pool-routes.ts';
import { requestRoutes } from './admin/request-routes.ts';
import { routeRoutes } from './admin/route-routes.ts';
import type { Route } from './admin/router.ts';
import { statusRoutes } from './admin/status-routes.ts';
import { totalsRoutes } from './admin/totals-routes.ts';
import { type Upgrading, upgradeRoute } from './admin/upgrade-route.ts';
import { Certificates } from './certificates/certificates.ts';
import { certificatesOf } from './certificates/read-again.ts';
import type { ClusterPort } from './cluster-port.ts';
import { createMetricsCollector, type MetricsCollector } from './collect-metrics.ts';
import type { FairleadContext } from './context.ts';
import { CounterEngine } from './counter-engine/counter-engine.ts';
import { dashboardPage } from './dashboard-page.ts';
import { Discovery } from './discovery/discovery.ts';
import { fileOfLists, KeptLists } from './discovery/kept-lists.ts';
import { createSource } from './discovery/sources.ts';
import { Drains } from './drains.ts';
import { EventFollowers } from './events/event-followers.ts';
import { probe } from './health/probe.ts';
import { Leavers } from './leavers.ts';
import type { InheritedSockets } from './listeners/inherited-sockets.ts';
import { openListeners } from './listeners/open-listeners.ts';
import type { Logs } from './logs.ts';
import { Operator } from './operator.ts';
import { Pools } from './pools.ts';
import { Registry } from './registry.ts';
import { ConfigWatch } from './reload/config-watch.ts';
import { Reloads } from './reload/reloads.ts';
import { renumberSessions } from './renumbering.ts';
import { SpareMemory } from './spare-memory.ts';
import { LOCAL_IDS } from './state/kept-changes.ts';
import type { KeptState } from './state/kept-state.ts';
import { NO_OPERATOR_STATE } from './state/operator-state.ts';
import { steadyTime } from './steady-time.ts';
import { DataThreads } from './threads/data-threads.ts';
import { TokenFile } from './token-file.ts';
import { Tracing } from './tracing/tracing.ts';
import type { HandedSockets } from './upgrade/handed-sockets.ts';
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
  /** Undefined: this process is alone. */
  readonly cluster: ClusterPort | undefined;
  /** Of data threads; 0: one data plane in this thread. */
  readonly threadCount: number;
  readonly phase: Phase;
  readonly inherited: InheritedSockets;
  /** Of the process that this one takes the place of. */
  readonly handedOn: HandedSockets;
  readonly clientTablesOrigin: ClientTablesOrigin | undefined;
  /** What the sources of backends have answered it; undefined: nobody says. */
  readonly lists: string | undefined;
  readonly upgrade: Upgrading;
  /** It can't be opened again in this process. */
  readonly onListenerLost: (listener: ListenerSnapshot) => void;
  /** Another entry file of the data threads, for tests. */
  readonly workerUrl: URL | undefined;
  /** Only where the data plane runs in this thread. */
  readonly functions: Functions | null;
  /** What loading the config found worth telling. */
  readonly notes: readonly string[];
}

export interface Parts {
  readonly registry: Registry;
  readonly threads: DataThreads;
  readonly pools: Pools;
  readonly discovery: Discovery;
  readonly operator: Operator;
  readonly reloads: Reloads;
  readonly configWatch: ConfigWatch;
  readonly spareMemory: SpareMemory;
  readonly certificates: Certificates;
  readonly acme: AcmePlace;
  readonly metrics: MetricsCollector;
  readonly followers: EventFollowers;
  readonly tokens: TokenFile;
  readonly tracing: Tracing;
  readonly cluster: ClusterPort | undefined;
  /** Resolves when what the cluster is known to share is in force. */
  readonly beginCluster: () => Promise<void>;
  readonly counterEngine: CounterEngine;
  readonly routes: readonly Route[];
}

export function compose(options: ComposeOptions): Parts {
  const { settings, logs, kept, phase, workerUrl, notes, cluster } = options;
  const { log } = logs;
  const spareMemory = new SpareMemory();
  // Where the data plane runs in this thread, a collection would hold up requests.
  const context = options.threadCount > 0 ? spareMemory.watching(options.context) : options.context;
  const startedAt = performance.now();
  const threads = new DataThreads({
    count: options.threadCount,
    log,
    onConnectFailed: ({ backendId, code, detail }) =>
      pools
        .of(backendId)
        ?.health.connectFailed(backendId, `a request could not connect: ${detail} (${code})`),
    onNoAnswer: ({ backendId }) => pools.of(backendId)?.health.answerMissing(backendId),
    onFaultsInARow: (message) => pools.of(message.backendId)?.watch.faultsInARow(message),
    onNamesAsked: ({ group, names }) => acme.asked(group, names),
    onTunnelsCut: ({ backendId, count }) => drains.tunnelsCut(backendId, count),
    onRequestsCut: ({ backendId, count }) => drains.requestsCut(backendId, count),
    onListenerLost: options.onListenerLost,
    onTraced: (exchanges) => tracing.take(exchanges),
    onRateAsk: (message, reply) => counterEngine.ask(message, reply),
    onSessionAsk: (message, reply) => counterEngine.askForSession(message, reply),
    onAccessLog: (lines, count, release) => logs.writeAccess(lines, count, release),
    ...(workerUrl && { workerUrl }),
    functions: options.functions,
    handedOn: options.handedOn,
    clientTablesOrigin: options.clientTablesOrigin,
  });
  const { threadCount } = threads;
  const tracing = new Tracing(log);
  tracing.sync(settings);
  const registry = new Registry({
    settings,
    threadCount,
    operatorState: cluster === undefined ? kept.found : { ...NO_OPERATOR_STATE, nextId: LOCAL_IDS },
    inherited: options.inherited,
    now: steadyTime,
  });
  const counterEngine = new CounterEngine({
    log,
    instances: () => registry.instances,
    tellThreads: (message) => threads.tell(message),
  });
  counterEngine.sync(settings);
  const pools = new Pools({
    registry,
    log,
    probe,
    threadCount,
    publish: (poolId, eligibility) => threads.setEligible(poolId, eligibility),
  });
  const drains = new Drains({
    log,
    threadCount,
    tell: (message) => threads.tell(message),
    poolOf: (id) => leavers.poolOf(id),
    countersOf: (id) => registry.backend(id)?.counters,
    hasSessions: (id) => (registry.poolOf(id)?.settings.sticky ?? null) !== null,
    async moveSessions(id, areMoved) {
      const pool = pools.of(id);
      pool?.registry.live.setSessionsMoved(id, areMoved);
      pool?.watch.refresh();
      await threads.settled();
    },
  });
  const leavers = new Leavers(threadCount);
  leavers.sync(registry.pools());
  const operator = new Operator({
    registry,
    store: kept.store,
    log,
    drains,
    shared: cluster?.changes,
    onRenumbered: (ids) => renumberSessions(threads.clientTables.sessions, ids),
    async publish() {
      const snapshot = registry.snapshot();
      leavers.sync(registry.pools());
      const applied = threads.apply(snapshot);
      pools.sync(snapshot);
      certificates.sync();
      // Nor is what is fetched for it.
      void acme.sync(registry.settings);
      tokens.sync();
      tracing.sync(registry.settings);
      counterEngine.sync(registry.settings);
      // Lookups that a reload begins are nothing that it waits for.
      void discovery.sync();
      await Promise.all([applied, kept.keepSecret(registry.keptState)]);
    },
  });
  const discovery = new Discovery({
    registry,
    operator,
    drains,
    log,
    createSource,
    kept: new KeptLists({
      path: fileOfLists(settings),
      mayWrite: () => kept.mayBeWrittenBeside,
      log,
      handedOn: options.lists,
    }),
    checkNow: async (id) => pools.of(id)?.health.checkNow(id),
  });
  const certificates = new Certificates({
    registry,
    operator,
    log,
    publish: () => void threads.apply(registry.snapshot()),
  });
  const acme = new AcmePlace({
    log,
    cluster,
    holder: `${registry.instanceName} (process ${process.pid})`,
    onIssued: (issued) => {
      registry.issued = issued;
      void threads.apply(registry.snapshot());
      certificates.sync();
    },
    async onChallenges(challenges) {
      registry.challenges = challenges;
      await threads.apply(registry.snapshot());
    },
  });
  const reloads = new Reloads({
    context,
    registry,
    operator,
    logs,
    notes,
    openListeners: (loaded) => openListeners(threads, registry, loaded),
  });
  const configWatch = new ConfigWatch({
    context,
    reload: () => reloads.reload({ by: 'watch' }),
    onCutOff: () => reloads.refuseCutOff(),
    onAsBefore: () => reloads.noLongerCutOff(),
  });
  reloads.onReloaded = (now, faults) => {
    configWatch.follow(now);
    certificates.tellFaults(faults);
  };
  const metrics = createMetricsCollector({
    pools,
    routeCounts: registry.routeCounts,
    threads,
    reloads: reloads.counts,
    certificates,
    acme,
    search: (pool) => discovery.search(pool),
    droppedLogLines: () => logs.droppedLines(),
    spans: tracing.counts,
    cluster: () => cluster?.figures,
    counterEngine: () => counterEngine.view,
    version: VERSION,
  });
  const tokens = new TokenFile({ registry, operator, log });
  const followers = new EventFollowers(logs.events);
  const uptimeSeconds = (): number => (performance.now() - startedAt) / 1000;
  const routes = [
    ...statusRoutes({
      drains,
      registry,
      operator,
      threadCount,
      leaving: () => leavers.view(),
      uptimeSeconds,
      listeners: () => threads.listeners,
      counterEngine: () => counterEngine.view,
      refusedReload: () => reloads.counts.refused,
      metrics: () => renderPrometheus(metrics.collect()),
      notReady: () =>
        phase.now === 'running' ? cluster?.readiness.notReady : `Fairlead is ${phase.now}.`,
      degraded: () => cluster?.readiness.degraded,
    }),
    ...backendRoutes({
      registry,
      operator,
      drains,
      checkNow: async (id) => pools.of(id)?.health.checkNow(id),
      threadCount,
      settled: () => threads.settled(),
    }),
    ...totalsRoutes({
      registry,
      threads,
      drains,
      leaving: () => leavers.view(),
      uptimeSeconds,
      version: VERSION,
    }),
    ...poolRoutes({ registry, threadCount, search: (pool) => discovery.search(pool) }),
    ...routeRoutes(registry),
    ...listenerRoutes({ registry, listeners: () => threads.listeners }),
    ...certificateRoutes({ registry, certificates, acme }),
    ...clusterRoutes(cluster),
    ...explainRoutes({
      registry,
      threadCount,
      explain: (question) => threads.questions.explain(question),
    }),
    ...requestRoutes({
      kept: (id) => threads.questions.kept(id),
    }),
    ...eventRoutes({ followers, hasPool: (name) => registry.pool(name) !== undefined }),
    upgradeRoute(options.upgrade),
    ...configRoutes({
      registry,
      operator,
      context,
      reload: (request) => reloads.reload(request),
    }),
  ];
  const listed: readonly Route[] = [...routes, openApiRoute(() => all)];
  const all: readonly Route[] = [...listed, indexRoute(listed, dashboardPage())];
  return {
    registry,
    threads,
    pools,
    discovery,
    operator,
    reloads,
    configWatch,
    spareMemory,
    certificates,
    acme,
    metrics,
    followers,
    tokens,
    tracing,
    cluster,
    async beginCluster() {
      const { shared } = options.context;
      if (cluster === undefined || shared === undefined) return;
      await cluster.begin({
        registry,
        sharedChanged: () => operator.sharedChanged(),
        load: (wanted) => shared.load(wanted, certificatesOf(registry.settings)),
        taken: (wanted, loaded) => shared.taken(wanted, loaded),
        instancesAre(count) {
          registry.instancesAlive = count;
          void operator.inTurn(() => threads.apply(registry.snapshot())).catch(() => {});
        },
        checkNow(pool, url) {
          const id = registry.pool(pool)?.findByUrl(url)?.id;
          if (id !== undefined) void pools.of(id)?.health.checkNow(id);
        },
        finishRemoval: (pool, url) => operator.finishRemoval(pool, url),
        ticketKeysAre: (keys) => threads.ticketKeys.take(keys),
        token: () => registry.settings.admin.token,
      });
    },
    counterEngine,
    routes: all,
  };
}
