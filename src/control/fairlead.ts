/**
 * Puts the control plane together and starts it, in an order that never lets a client see a half-started proxy: state
 * file, registry, admin API, data threads, first round of health checks, and only then the port.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatDuration } from '../config/duration.ts';
import type { Settings } from '../config/settings.ts';
import { renderPrometheus } from '../observe/prometheus.ts';
import { readProcessCounters } from '../snapshot/process-counters.ts';
import { backendRoutes } from './admin/backend-routes.ts';
import { configRoutes, indexRoute } from './admin/config-routes.ts';
import { explainError } from './admin/explain.ts';
import { type AdminServer, startAdminServer } from './admin/server.ts';
import { statusRoutes } from './admin/status-routes.ts';
import { createMetricsCollector } from './collect-metrics.ts';
import type { FairleadContext } from './context.ts';
import { DataThreads } from './data-threads.ts';
import { Drains } from './drains.ts';
import { HealthChecker } from './health.ts';
import { KeptState } from './kept-state.ts';
import { Leavers } from './leavers.ts';
import type { Logs } from './logs.ts';
import { mayRetry } from './may-retry.ts';
import { Operator, type Precondition } from './operator.ts';
import { countChanges } from './operator-state.ts';
import { planThreads } from './plan-threads.ts';
import { PoolWatch } from './pool-watch.ts';
import { probe } from './probe.ts';
import { Registry } from './registry.ts';
import type { ReloadOutcome } from './reload.ts';
import { Reloads, tellOverrides } from './reloads.ts';
import { listenFailed, openAllLogs } from './start-failed.ts';
import { steadyTime } from './steady-time.ts';
import { VERSION } from './version.ts';

const FIRST_CHECKS_MS = 1000;
const ADMIN_GRACE_MS = 500;
const LOG_FLUSH_MS = 2000;

export interface RunningFairlead {
  readonly port: number;
  readonly adminPort: number;
  /** Not ready any more, no new connections, in-flight requests finish, state and logs are written. Gives the exit code. */
  shutdown(reason: string): Promise<number>;
  /** Ends at once: in-flight requests are cut off. */
  kill(): void;
  /** Resolves with the exit code when all has ended. */
  readonly exited: Promise<number>;
}

/** What the lifecycle needs beyond what the caller gets. */
export interface ControlledFairlead extends RunningFairlead {
  readonly logs: Logs;
  /** Reads the config again. Logged, whatever comes of it; what is refused is thrown as well. */
  reload(precondition?: Precondition): Promise<ReloadOutcome>;
}

export interface FairleadOptions {
  /** Another entry file of the data threads, for tests. */
  readonly workerUrl?: URL;
  /** Where the log goes instead of to standard output. */
  readonly logFile?: string;
  /** What loading the config found worth telling. */
  readonly notes?: readonly string[];
}

/** @throws StartFailed with 3 where an address is in use */
export async function startFairlead(
  settings: Settings,
  context: FairleadContext,
  options: FairleadOptions = {},
): Promise<ControlledFairlead> {
  const startedAt = performance.now();
  const logs = openAllLogs(settings, options.logFile);
  const { log } = logs;
  // Before all else: whatever goes wrong later may be the wrong file.
  const { configFile } = settings;
  if (configFile === undefined) log.info('config.file', 'no config file is used');
  else log.info('config.file', `the config file is ${configFile}`, { file: configFile });
  for (const note of options.notes ?? []) log.warn('config.note', note);
  const kept = await KeptState.open({ path: settings.stateFile, log });
  const threadPlan = planThreads(settings.threads);
  if (threadPlan.note !== undefined) log.info('threads.settled', threadPlan.note);

  const threads = new DataThreads({
    count: threadPlan.count,
    log,
    onConnectFailed: ({ backendId, code, detail }) =>
      health.connectFailed(backendId, `a request could not connect: ${detail} (${code})`),
    onNoAnswer: ({ backendId }) => health.answerMissing(backendId),
    onFaultsInARow: (message) => watch.faultsInARow(message),
    onTunnelsCut: ({ backendId, count }) => drains.tunnelsCut(backendId, count),
    onRequestsCut: ({ backendId, count }) => drains.requestsCut(backendId, count),
    onAccessLog: (lines, count, release) => logs.writeAccess(lines, count, release),
    ...(options.workerUrl && { workerUrl: options.workerUrl }),
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
    counters: threads.counters,
    threadCount,
    publish: (eligibility) => threads.setEligible(eligibility),
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
      watch.sync(snapshot.pool.eligibility);
      health.sync();
      await Promise.all([applied, kept.keepSecret(registry.keptState)]);
    },
  });
  const reloads = new Reloads({ context, registry, operator, logs });
  const reload = (precondition?: Precondition) => reloads.reload(precondition);
  const metrics = createMetricsCollector({
    registry,
    health,
    watch,
    threads,
    reloads: reloads.counts,
    droppedLogLines: () => logs.droppedLines(),
    version: VERSION,
  });

  let phase: 'starting' | 'running' | 'ending' = 'starting';
  const routes = [
    ...statusRoutes({
      registry,
      operator,
      threadCount,
      leaving: () => leavers.view(),
      uptimeSeconds: () => (performance.now() - startedAt) / 1000,
      queued: () => readProcessCounters(threads.counters, threadCount).queued,
      metrics: () => renderPrometheus(metrics.collect()),
      notReady: () => (phase === 'running' ? undefined : `Fairlead is ${phase}.`),
    }),
    ...backendRoutes({
      registry,
      operator,
      drains,
      health,
      threadCount,
      settled: () => threads.settled(),
    }),
    ...configRoutes({ registry, operator, context, reload }),
  ];
  const { admin: adminSettings } = settings;
  let admin: AdminServer | undefined;
  let port: number;
  try {
    // The data threads run before the first call can change what they should run on.
    await Promise.all([threads.start(registry.snapshot()), kept.begin(registry.keptState)]);
    admin = await startAdminServer({
      ...adminSettings,
      routes: [...routes, indexRoute(routes)],
      log,
      explain: explainError,
    }).catch((error: unknown) => {
      const { host, port: wanted } = adminSettings;
      throw listenFailed(error, 'the admin API', '--admin-port', host, wanted);
    });
    health.sync();
    await Promise.race([
      Promise.all(registry.backends().map(({ id }) => health.checkNow(id))),
      sleep(FIRST_CHECKS_MS, undefined, { ref: false }),
    ]);
    ({ port } = await threads.listen().catch((error: unknown) => {
      throw listenFailed(error, 'the proxy', '--port', settings.host, settings.port);
    }));
  } catch (error) {
    health.stop();
    watch.stop();
    metrics.stop();
    await Promise.all([admin?.close(0), threads.stop()]);
    await kept.close();
    await logs.close(LOG_FLUSH_MS);
    throw error;
  }
  phase = 'running';
  const adminPort = admin.port;
  const url = urlOf(settings.tls === undefined ? 'http' : 'https', settings.host, port);
  log.info(
    'listening',
    `listening on ${url}, admin API on ${urlOf('http', adminSettings.host, adminPort)}`,
    {
      url,
      port,
      admin_port: adminPort,
      backends: registry.backends().length,
      strategy: registry.strategy,
      threads: threadPlan.count,
      api_changes: countChanges(registry.operatorState),
      version: VERSION,
    },
  );

  if (registry.backends().length === 0) {
    log.warn(
      'backends.none',
      'there are no backends: every request gets 503 (fairlead URL…, the key "backends", TARGET_BACKEND_URLS, or fairlead add URL)',
    );
  }
  tellOverrides(registry, log);

  let resolveExited: (exitCode: number) => void;
  const exited = new Promise<number>((resolve) => {
    resolveExited = resolve;
  });
  let shuttingDown: Promise<number> | undefined;
  let ending: Promise<void> | undefined;

  async function end(adminGraceMs: number): Promise<void> {
    phase = 'ending';
    health.stop();
    watch.stop();
    metrics.stop();
    await operator.stop();
    await Promise.all([admin?.close(adminGraceMs), threads.stop()]);
    await kept.close();
    log.info('stopped', 'Fairlead has stopped');
    await logs.close(LOG_FLUSH_MS);
    resolveExited(0);
  }

  return {
    port,
    adminPort,
    logs,
    reload,
    exited,
    shutdown(reason) {
      shuttingDown ??= (async () => {
        phase = 'ending';
        const { drainMs } = registry.settings;
        log.info(
          'stopping',
          `stopping (${reason}): requests in flight have ${formatDuration(drainMs)} to finish`,
          {
            reason,
            drain_ms: drainMs,
          },
        );
        health.drain(() => mayRetry(registry, threads));
        const reset = await threads.drain(drainMs);
        if (reset > 0) {
          log.warn('drain.cut_off', `${reset} connections were cut off at the deadline`, { reset });
        }
        ending ??= end(ADMIN_GRACE_MS);
        return exited;
      })();
      return shuttingDown;
    },
    kill() {
      if (ending !== undefined) return;
      log.warn('killed', 'ending at once: requests in flight are cut off');
      ending = end(0);
    },
  };
}

/** Where it is reached on this machine: who listens on all addresses is there as localhost. */
function urlOf(scheme: string, host: string | undefined, port: number): string {
  const isEverywhere = host === undefined || host === '0.0.0.0' || host === '::';
  const name = isEverywhere ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  return `${scheme}://${name}:${port}`;
}
