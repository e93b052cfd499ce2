/**
 * Starts Fairlead, in an order that never lets a client see a half-started proxy: state file, data threads, admin API, first
 * round of health checks, and only then the port. Ends it in the other direction.
 */
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FileFault } from '../config/certificates/kept-certificates.ts';
import type { Settings } from '../config/settings.ts';
import { formatDuration } from '../config/values/duration.ts';
import type { Functions } from '../data/relay/hooks.ts';
import type { ListenerSnapshot } from '../snapshot/snapshot.ts';
import { explainError } from './admin/explain.ts';
import type { Route } from './admin/router.ts';
import { type AdminServer, startAdminServer } from './admin/server.ts';
import type { Precondition } from './change-terms.ts';
import { openCluster } from './cluster-start.ts';
import { compose, type Parts, type Phase } from './compose.ts';
import type { FairleadContext } from './context.ts';
import { InheritedSockets } from './listeners/inherited-sockets.ts';
import type { Logs, LogsOptions } from './logs.ts';
import type { ReloadOutcome } from './reload/reload.ts';
import type { ReloadRequest } from './reload/reloads.ts';
import { ServiceManager } from './service-manager.ts';
import { adminFailed, adminName, listenerFailed, openAllLogs } from './start-failed.ts';
import { KeptState } from './state/kept-state.ts';
import { planThreads } from './threads/plan-threads.ts';
import { type Addresses, firstPort, tellConfig, tellStart, urlsOf } from './told-at-start.ts';
import { HandedSockets } from './upgrade/handed-sockets.ts';
import type { HandedListener } from './upgrade/handover.ts';
import { describeBackends } from './upgrade/known-backends.ts';
import { describeClients, describeOrigin } from './upgrade/known-clients.ts';
import type { Predecessor } from './upgrade/predecessor.ts';
import { takeUpKnown } from './upgrade/take-up.ts';
import { type Asked, Upgrade, UpgradeRefused } from './upgrade/upgrade.ts';

const FIRST_CHECKS_MS = 1000;
const ADMIN_GRACE_MS = 500;
const LOG_FLUSH_MS = 2000;
const SPAN_FLUSH_MS = 2000;
const EXIT_FAILED = 1;
/** Of a socket that is for as many data threads as the next process may have, whatever the machine has for them. */
const LEAST_COPIES = 16;

export interface RunningFairlead {
  /** Of the first listener that has one; 0: none has. */
  readonly port: number;
  readonly adminPort: number;
  /**
   * Not ready any more, no new connections, in-flight requests finish, state and logs are written. Gives the exit code.
   * @param drainMs how long requests in flight have; undefined: `timeouts.drain`.
   */
  shutdown(reason: string, drainMs?: number): Promise<number>;
  /** Ends at once: in-flight requests are cut off. */
  kill(): void;
  /** Resolves with the exit code when all has ended. */
  readonly exited: Promise<number>;
}

/** What the lifecycle needs beyond what the caller gets. */
export interface ControlledFairlead extends RunningFairlead {
  readonly logs: Logs;
  /** Of the admin API, whether it is listened on or not. */
  readonly routes: readonly Route[];
  /** Where it listens, the first one first. */
  readonly urls: readonly string[];
  poolNames(): string[];
  /** Another process takes over: its id. Logged, whatever comes of it. @throws UpgradeRefused, UpgradeFailed */
  upgrade(asked: Asked, precondition?: Precondition): Promise<number>;
  /** Everything that is to hear signals does: the service manager may know that it is ready. */
  serviceIsReady(): void;
  /** Reads the config again. Logged, whatever comes of it; what is refused is thrown as well. */
  reload(request?: ReloadRequest): Promise<ReloadOutcome>;
}

export interface FairleadOptions extends LogsOptions {
  /** Another entry file of the data threads, for tests. */
  readonly workerUrl?: URL;
  /** Of the program that we are a part of: where `threads` is 0, they see each request. */
  readonly functions?: Functions;
  /** False: the admin API is not listened on. */
  readonly hasAdmin?: boolean;
  /** What loading the config found worth telling. */
  readonly notes?: readonly string[];
  /** Files of certificates that it has found broken, and could do without. */
  readonly faults?: readonly FileFault[];
  /** Sockets that were handed to the process. They are for whoever owns it: without this, none is taken. */
  readonly inherited?: InheritedSockets;
  /** The process that this one takes the place of. */
  readonly predecessor?: Predecessor | undefined;
  /** The environment of a process that is a service of its own: systemd is told of it. Undefined: nobody is. */
  readonly serviceEnv?: NodeJS.ProcessEnv;
  /** Another process of the same command line may take the place of this one. */
  readonly canBeUpgraded?: boolean;
}

/** What has to be ended, in whatever state the start or the run is. */
interface Ending extends Parts {
  readonly kept: KeptState;
  readonly logs: Logs;
  admin: AdminServer | undefined;
}

/** @throws StartFailed with 3 where an address is in use */
export async function startFairlead(
  settings: Settings,
  context: FairleadContext,
  options: FairleadOptions = {},
): Promise<ControlledFairlead> {
  const { workerUrl, notes = [], faults = [], inherited = new InheritedSockets([]) } = options;
  const { predecessor } = options;
  const logs = openAllLogs(settings, options);
  const { log } = logs;
  tellConfig(log, settings, notes);
  const cluster = await openCluster(settings.cluster, log);
  const kept = await KeptState.open({
    path: cluster === undefined ? settings.stateFile : undefined,
    log,
    handedOn: predecessor?.state,
  });
  const { count: threadCount, note } = planThreads(settings.threads);
  if (note !== undefined) log.info('threads.settled', note);
  const phase: Phase = { now: 'starting' };
  let running: Running | undefined;
  const parts = compose({
    settings,
    context,
    logs,
    kept,
    cluster,
    threadCount,
    phase,
    inherited,
    handedOn: predecessor?.sockets ?? new HandedSockets(),
    clientTablesOrigin: predecessor?.clientsOrigin,
    lists: predecessor?.lists,
    upgrade: async (actor, precondition) => {
      if (running === undefined) throw new UpgradeRefused('No upgrade: this process still starts.');
      return running.upgrade({ actor }, precondition);
    },
    onListenerLost: (listener) => void running?.loseListener(listener),
    workerUrl,
    functions: options.functions ?? null,
    notes,
  });
  const all: Ending = { ...parts, kept, logs, admin: undefined };
  let addresses: Addresses;
  try {
    addresses = await open(all, settings, options);
    all.certificates.begin(faults);
    all.acme.listening();
  } catch (error) {
    await end(all, 0);
    await logs.close(LOG_FLUSH_MS);
    throw error;
  }
  phase.now = 'running';
  tellStart({ registry: all.registry, log }, settings, { addresses, threadCount });
  for (const socket of inherited.left) {
    const message = `no listener is for the socket ${socket}, which was open at the start`;
    log.warn('listener.unused_socket', message);
  }
  all.configWatch.follow(settings);
  if (threadCount > 0) all.spareMemory.configRead();
  predecessor?.closeLeft();
  const service = new ServiceManager({
    env: options.serviceEnv ?? {},
    pid: process.pid,
    log,
    isSuccessor: predecessor !== undefined,
  });
  running = new Running(all, phase, addresses, options.canBeUpgraded ?? false, service);
  return running;
}

/** Starts everything that was put together; the port comes last. */
async function open(
  all: Ending,
  settings: Settings,
  { hasAdmin = true, predecessor }: FairleadOptions,
): Promise<Addresses> {
  const { registry, threads, pools, discovery, kept } = all;
  predecessor?.backends.begin(pools.all());
  // The data threads run before the first call can change what they should run on.
  await Promise.all([threads.start(registry.snapshot()), kept.begin(registry.keptState)]);
  const beginAdmin = async (): Promise<void> => {
    if (hasAdmin && !settings.admin.isOff) all.admin = await openAdmin(all, settings, predecessor);
  };
  // A change that is made here must not be lost where the old process stays after all.
  if (predecessor === undefined) await beginAdmin();
  await all.beginCluster();
  all.tokens.sync();
  pools.begin();
  await all.acme.sync(settings);
  await Promise.race([
    discovery.sync().then(() => {
      predecessor?.backends.goOn(pools.all());
      return Promise.all(pools.all().map(({ health }) => health.checkAll()));
    }),
    sleep(FIRST_CHECKS_MS, undefined, { ref: false }),
  ]);
  if (predecessor !== undefined) await takeUpKnown(predecessor, all);
  const listeners = await threads.listen().catch((error: unknown) => {
    throw listenerFailed(error, settings);
  });
  if (predecessor !== undefined) await beginAdmin();
  return { listeners, adminPort: all.admin?.port ?? 0 };
}

function openAdmin(
  { registry, routes, logs: { log } }: Ending,
  { admin }: Settings,
  predecessor: Predecessor | undefined,
): Promise<AdminServer> {
  const { host, port, unix } = admin;
  const socket = predecessor?.admin.takeOne(adminName(admin)) ?? -1;
  const access = (): Settings['admin'] => registry.settings.admin;
  const server = startAdminServer({
    host,
    port,
    unix,
    tls: () => registry.settings.admin.tls,
    socket,
    access,
    routes,
    log,
    explain: explainError,
  });
  return server.catch((error: unknown) => {
    throw adminFailed(error, admin);
  });
}

/** Ends all but the logs, which are to tell of it. */
async function end(all: Ending, adminGraceMs: number): Promise<void> {
  const { pools, discovery, certificates, acme, metrics, operator, admin, threads, kept } = all;
  const { configWatch, spareMemory, tokens } = all;
  for (const part of [configWatch, spareMemory, tokens, pools, certificates, metrics]) part.stop();
  await Promise.all([acme.stop(), operator.stop(), discovery.stop()]);
  await all.cluster?.close();
  all.followers.close();
  await Promise.all([admin?.close(adminGraceMs), threads.stop()]);
  all.counterEngine.stop();
  await all.tracing.close(SPAN_FLUSH_MS);
  await kept.close();
}

class Running implements ControlledFairlead {
  readonly adminPort: number;
  readonly logs: Logs;
  readonly routes: readonly Route[];
  readonly exited: Promise<number>;
  readonly #all: Ending;
  readonly #phase: Phase;
  readonly #upgrade: Upgrade;
  readonly #service: ServiceManager;
  #resolveExited: (exitCode: number) => void = () => {};
  #shuttingDown: Promise<number> | undefined;
  #ending: Promise<void> | undefined;
  #exitCode = 0;

  constructor(
    all: Ending,
    phase: Phase,
    { adminPort }: Addresses,
    canBeUpgraded: boolean,
    service: ServiceManager,
  ) {
    this.#service = service;
    this.#all = all;
    this.#phase = phase;
    this.adminPort = adminPort;
    this.logs = all.logs;
    this.routes = all.routes;
    const { logs, operator, kept, registry, threads, discovery } = all;
    this.#upgrade = new Upgrade({
      log: logs.log,
      operator,
      kept,
      copies: all.cluster,
      keptState: () => registry.keptState,
      version: () => registry,
      parting: () => ({
        listeners: threads.toHandOn(Math.max(availableParallelism(), LEAST_COPIES)),
        admin: this.#adminToHandOn(),
        backends: describeBackends(all.pools.all()),
        lists: discovery.lists(),
        clientsOrigin: describeOrigin(threads.clientTables),
        clients: () => describeClients(threads.clientTables, registry.pools()),
      }),
      whyNot: () => {
        if (!canBeUpgraded) return 'Fairlead is a part of another program';
        return phase.now === 'running' ? undefined : `Fairlead is ${phase.now}`;
      },
      onHandedOver: (pid) => void this.shutdown(`process ${pid} has taken over`),
    });
    this.exited = new Promise((resolve) => {
      this.#resolveExited = resolve;
    });
  }

  /** A reload may have moved it. */
  get port(): number {
    return firstPort(this.#all.threads.listeners);
  }

  get urls(): readonly string[] {
    return urlsOf(this.#all.threads.listeners);
  }

  poolNames(): string[] {
    return this.#all.registry.pools().map(({ name }) => name);
  }

  serviceIsReady(): void {
    const { threads } = this.#all;
    this.#service.begin(() => threads.pulse.areAllAlive);
  }

  reload(request?: ReloadRequest): Promise<ReloadOutcome> {
    const reload = (): Promise<ReloadOutcome> => this.#all.reloads.reload(request);
    // Others are not the service manager's.
    return request?.by === 'signal' ? this.#service.whileReloading(reload) : reload();
  }

  upgrade(asked: Asked, precondition?: Precondition): Promise<number> {
    return this.#upgrade.run(asked, precondition);
  }

  #adminToHandOn(): HandedListener | null {
    const { admin, registry } = this.#all;
    if (admin === undefined || admin.descriptor === -1) return null;
    const name = adminName(registry.settings.admin);
    return { name, descriptors: [admin.descriptor], isAlone: true, isInherited: false };
  }

  shutdown(reason: string, drainMs?: number): Promise<number> {
    this.#shuttingDown ??= this.#shutdown(reason, drainMs);
    return this.#shuttingDown;
  }

  kill(): void {
    if (this.#ending !== undefined) return;
    this.logs.log.warn('killed', 'ending at once: requests in flight are cut off');
    this.#ending = this.#end(0);
  }

  /** Nobody comes in by it any more, until whoever has opened it starts Fairlead anew. */
  async loseListener({ name }: ListenerSnapshot): Promise<void> {
    const message = `${name} was closed with the data thread that had it: a new process is needed`;
    this.logs.log.error('listener.lost', message, { listener: name });
    this.#exitCode = EXIT_FAILED;
    await this.shutdown(`${name} is lost`);
  }

  async #shutdown(reason: string, wantedMs?: number): Promise<number> {
    const { registry, threads, pools, configWatch } = this.#all;
    configWatch.stop();
    await this.#upgrade.cancel();
    const isHandedOn = this.#upgrade.isHandedOver;
    if (isHandedOn) this.#leaveAdmin();
    else this.#service.stopping();
    const { log } = this.logs;
    const drainMs = wantedMs ?? registry.settings.drainMs;
    this.#phase.now = 'ending';
    log.info(
      'stopping',
      `stopping (${reason}): requests in flight have ${formatDuration(drainMs)} to finish`,
      { reason, drain_ms: drainMs },
    );
    pools.drain();
    const reset = await threads.drain(drainMs, isHandedOn);
    if (reset > 0) {
      log.warn('drain.cut_off', `${reset} connections were cut off at the deadline`, { reset });
    }
    this.#ending ??= this.#end(ADMIN_GRACE_MS);
    return this.exited;
  }

  /** Whoever calls from now on gets to the new process. */
  #leaveAdmin(): void {
    const { admin, certificates, acme, discovery, tokens } = this.#all;
    void this.#service.leave();
    // What they find can't be put in force here any more.
    for (const part of [discovery, certificates, tokens]) void part.stop();
    // Gives its lock back first.
    const isGivenBack = acme.stop().catch(() => {});
    void isGivenBack.then(() => this.#all.cluster?.close()).catch(() => {});
    admin?.leaveFile();
    void admin?.close(ADMIN_GRACE_MS);
  }

  async #end(adminGraceMs: number): Promise<void> {
    this.#phase.now = 'ending';
    await Promise.all([this.#service.leave(), end(this.#all, adminGraceMs)]);
    this.logs.log.info('stopped', 'Fairlead has stopped');
    await this.logs.close(LOG_FLUSH_MS);
    this.#resolveExited(this.#exitCode);
  }
}
