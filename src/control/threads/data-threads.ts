/**
 * Starts the data threads, keeps them alive, and speaks for all of them at once.
 *
 * A thread that dies, or hangs and is ended (pulse.ts), is logged, its share of the in-flight counters is given back, and a
 * replacement takes its place (thread-place.ts).
 */
import type { Functions } from '../../data/relay/hooks.ts';
import type { Logger } from '../../observe/logger.ts';
import {
  type ClientTablesOrigin,
  createClientTables,
  giveBackClientShare,
} from '../../snapshot/client-table.ts';
import type { CounterEngineMessage } from '../../snapshot/counter-engine.ts';
import type { LogRing } from '../../snapshot/log-ring.ts';
import type {
  ClientTables,
  ConnectFailedMessage,
  CutBackendMessage,
  DrainBackendMessage,
  FaultsInARowMessage,
  FromDataThread,
  Http2FaultMessage,
  KeepBackendMessage,
  NamesAskedMessage,
  NoAnswerMessage,
  NoProxyHeaderMessage,
  RequestsCutMessage,
  ToDataThread,
  TunnelsCutMessage,
} from '../../snapshot/messages.ts';
import { createProcessCounters } from '../../snapshot/process-cells.ts';
import { giveBackProcessShare } from '../../snapshot/process-totals.ts';
import type { Eligibility, ListenerSnapshot, Snapshot } from '../../snapshot/snapshot.ts';
import type { TracedExchange } from '../../snapshot/traced-exchange.ts';
import { asBefore } from '../as-before.ts';
import type { CounterEngine } from '../counter-engine/counter-engine.ts';
import type { RateCalls } from '../counter-engine/rate-calls.ts';
import { http2FaultLog, proxyFaultLog } from '../listeners/listener-faults.ts';
import { Listening } from '../listeners/listening.ts';
import type { OnceAMinute } from '../listeners/once-a-minute.ts';
import { TicketKeys } from '../ticket-keys.ts';
import type { HandedSockets } from '../upgrade/handed-sockets.ts';
import type { HandedListener } from '../upgrade/handover.ts';
import { Announcements } from './announcements.ts';
import { EligibilityFlips, type Flips } from './eligibility-flips.ts';
import { HeldCounters } from './held-counters.ts';
import { Pulse } from './pulse.ts';
import { Questions } from './questions.ts';
import { type PlaceOptions, ThreadPlace } from './thread-place.ts';
import { ToldDrains } from './told-drains.ts';

/** How long a data thread may stay silent past a drain's deadline before it is given up. */
const DRAIN_GRACE_MS = 2000;
const STOP_GRACE_MS = 1000;

export interface DataThreadsOptions {
  /** 0: one data plane in this thread. */
  readonly count: number;
  readonly log: Logger;
  readonly onConnectFailed: (message: ConnectFailedMessage) => void;
  readonly onNoAnswer: (message: NoAnswerMessage) => void;
  readonly onFaultsInARow: (message: FaultsInARowMessage) => void;
  readonly onNamesAsked: (message: NamesAskedMessage) => void;
  readonly onTunnelsCut: (message: TunnelsCutMessage) => void;
  readonly onRequestsCut: (message: RequestsCutMessage) => void;
  /** It can't be opened again in this process. */
  readonly onListenerLost: (listener: ListenerSnapshot) => void;
  /** The lines are shared memory: they may be read until `release` is called. */
  readonly onAccessLog: (lines: Uint8Array, count: number, release: () => void) => void;
  readonly onTraced: (exchanges: readonly TracedExchange[]) => void;
  /** A thread asks, and is to be answered. */
  readonly onRateAsk: RateCalls['ask'];
  /** The same. */
  readonly onSessionAsk: CounterEngine['askForSession'];
  /** Another entry file than `data/worker`, for tests. */
  readonly workerUrl?: URL;
  readonly functions?: Functions | null;
  /** Of the process that this one takes the place of. */
  readonly handedOn?: HandedSockets;
  readonly clientTablesOrigin?: ClientTablesOrigin | undefined;
}

export class DataThreads {
  readonly counters: SharedArrayBuffer;
  /** Cells of the shared counters; also 1 where the data plane runs in this thread. */
  readonly threadCount: number;
  readonly #options: DataThreadsOptions;
  readonly clientTables: ClientTables;
  readonly ticketKeys = new TicketKeys((keys) => this.#broadcast({ kind: 'ticket-keys', keys }));
  readonly pulse: Pulse;
  readonly #places: readonly ThreadPlace[];
  readonly #listening: Listening;
  readonly #proxyFaults: OnceAMinute<NoProxyHeaderMessage>;
  readonly #http2Faults: OnceAMinute<Http2FaultMessage>;
  readonly #announcements = new Announcements();
  readonly #drains = new ToldDrains();
  #lastApplied: Promise<void> = Promise.resolve();
  readonly questions = new Questions(() => this.#places);
  readonly #draining = new Map<number, (resetConnections: number) => void>();
  readonly #held: HeldCounters;
  #snapshot: Snapshot | undefined;
  readonly #flips = new EligibilityFlips((flips) => this.#sendFlips(flips));
  #isEnding = false;

  constructor(options: DataThreadsOptions) {
    this.#options = options;
    this.threadCount = Math.max(1, options.count);
    this.counters = createProcessCounters(this.threadCount);
    this.#held = new HeldCounters(this.threadCount);
    this.clientTables = createClientTables(this.threadCount, options.clientTablesOrigin);
    this.pulse = new Pulse({
      counters: this.counters,
      threadCount: this.threadCount,
      log: options.log,
      onLost: (index, reason) => this.#places[index]?.terminate(reason),
    });
    const placeOptions: PlaceOptions = {
      log: options.log,
      isWorker: options.count > 0,
      workerUrl: options.workerUrl,
      functions: options.functions ?? null,
      init: () => ({
        threadCount: this.threadCount,
        counters: this.counters,
        clientTables: this.clientTables,
        reusePort: this.threadCount > 1,
        ticketKeys: this.ticketKeys.current,
        snapshot: this.#current(),
      }),
      drainsLeft: () => this.#drains.left(),
      onMessage: (index, message, ring) => this.#receive(index, message, ring),
      listenAgain: (index) => void this.#listening.listenAgain(index),
      onDied: (index, reason) => this.#died(index, reason),
    };
    this.#places = Array.from(
      { length: this.threadCount },
      (_, index) => new ThreadPlace(index, placeOptions),
    );
    this.#listening = new Listening({
      places: () => this.#places,
      listeners: () => this.listeners,
      areWorkers: options.count > 0,
      log: options.log,
      handedOn: options.handedOn,
      onLost: (listener) => this.#loseListener(listener),
    });
    this.#proxyFaults = proxyFaultLog(options.log);
    this.#http2Faults = http2FaultLog(options.log);
  }

  get restarts(): number {
    return this.#places.reduce((sum, { restarts }) => sum + restarts, 0);
  }

  /** Starts all threads on this snapshot; none of them listens yet. */
  async start(snapshot: Snapshot): Promise<void> {
    this.#hold(snapshot);
    this.#held.hold(snapshot);
    for (const place of this.#places) await place.start();
    // The caller's own thread could not hear that it is stuck itself.
    if (this.#options.count > 0) this.pulse.start();
  }

  /** Opens all listeners. @throws ListenError; the threads go on without listening. */
  async listen(): Promise<readonly ListenerSnapshot[]> {
    await this.#listening.open(this.#current().listeners, []);
    // Port 0 was whatever the system gave the first thread; from now on it is that one.
    await this.apply(this.#current());
    return this.listeners;
  }

  /** Those in force, with the ports that they have got. */
  get listeners(): readonly ListenerSnapshot[] {
    return this.#current().listeners;
  }

  /**
   * Opens what the next snapshot has more than the one in force; what it has no more is closed when it is applied.
   * @throws ListenError; then none of them is open.
   */
  async openMore(next: readonly ListenerSnapshot[]): Promise<void> {
    const { listeners } = this;
    const more = next.filter(({ id }) => listeners.every((open) => open.id !== id));
    if (more.length > 0) await this.#listening.open(more, listeners);
  }

  /** Resolves when every thread runs on it, so that an operator who was told "done" can rely on it. */
  async apply(snapshot: Snapshot): Promise<void> {
    this.#hold(snapshot);
    const current = this.#current();
    this.#lastApplied = this.#announce((place, sequence) => place.postSnapshot(sequence, current));
    // While the threads are at it.
    this.#held.hold(current);
    await this.#lastApplied;
  }

  /** Resolves when every thread runs on what was sent last. */
  async settled(): Promise<void> {
    await Promise.all([this.#lastApplied, this.#flips.applied()]);
  }

  #announce(post: (place: ThreadPlace, sequence: number) => void): Promise<void> {
    const there = this.#places.filter(({ isEmpty }) => !isEmpty).map(({ index }) => index);
    return this.#announcements.announce(there, (sequence) => {
      for (const place of this.#places) post(place, sequence);
    });
  }

  setEligible(poolId: number, eligibility: Eligibility): void {
    this.#flips.add(poolId, eligibility);
  }

  async #sendFlips(flips: Flips): Promise<void> {
    // A replacement starts from the held snapshot: it has to know as much as those that hear these messages.
    this.#snapshot = this.#current();
    const sent = flips.map(([poolId, eligibility]) =>
      this.#announce((place, sequence) => place.postEligibility(sequence, poolId, eligibility)),
    );
    await Promise.all(sent);
  }

  /** A thread that starts later is told of drains that are not over, and finds out about the engine by asking it. */
  tell(
    message: DrainBackendMessage | KeepBackendMessage | CutBackendMessage | CounterEngineMessage,
  ): void {
    this.#drains.note(message);
    this.#broadcast(message);
  }

  /** For another process: the sockets of all threads. */
  toHandOn(copies: number): HandedListener[] {
    return this.#listening.toHandOn(this.listeners, copies);
  }

  /**
   * Resolves with the number of client connections that had to be reset at the deadline.
   * @param isHandedOn another process listens on the same sockets.
   */
  async drain(deadlineMs: number, isHandedOn = false): Promise<number> {
    this.#isEnding = true;
    this.#listening.keepOnly([]);
    for (const place of this.#places) place.close();
    const counts = await Promise.all(
      this.#places.map(
        (place) =>
          new Promise<number>((resolve) => {
            if (place.isEmpty) {
              resolve(0);
              return;
            }
            const timer = setTimeout(() => resolve(0), deadlineMs + DRAIN_GRACE_MS);
            this.#draining.set(place.index, (resetConnections) => {
              clearTimeout(timer);
              resolve(resetConnections);
            });
            place.post({ kind: 'drain', deadlineMs, isHandedOn });
          }),
      ),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** Ends all threads; one that does not end by itself is terminated. */
  async stop(): Promise<void> {
    this.#isEnding = true;
    this.#listening.keepOnly([]);
    this.ticketKeys.stop();
    this.pulse.stop();
    await Promise.all(this.#places.map((place) => place.stop(STOP_GRACE_MS)));
    this.#proxyFaults.stop();
    this.#http2Faults.stop();
  }

  #current(): Snapshot {
    if (this.#snapshot === undefined) throw new Error('the data threads have not been started');
    return this.#flips.laidOver(this.#snapshot);
  }

  #hold(snapshot: Snapshot): void {
    const listeners = this.#listening.withPorts(snapshot.listeners);
    this.#snapshot = { ...snapshot, listeners: asBefore(this.#snapshot?.listeners, listeners) };
    this.#listening.keepOnly(snapshot.listeners);
    // It knows of them.
    this.#flips.clear();
  }

  #broadcast(message: ToDataThread): void {
    for (const place of this.#places) place.post(message);
  }

  #receive(index: number, message: FromDataThread, ring: LogRing): void {
    switch (message.kind) {
      case 'listening':
        void this.#listening.receive(index, message);
        break;
      case 'standing-in':
        this.#listening.standingIn(message);
        break;
      case 'retiring':
        if (!this.#isEnding) this.#listening.retiring(index);
        break;
      case 'applied':
        this.#announcements.applied(index, message.sequence);
        break;
      case 'explained':
      case 'kept':
        this.questions.answered(message);
        break;
      case 'drained':
        this.#draining.get(index)?.(message.resetConnections);
        this.#draining.delete(index);
        break;
      case 'tunnels-cut':
        this.#options.onTunnelsCut(message);
        break;
      case 'requests-cut':
        this.#options.onRequestsCut(message);
        break;
      case 'connect-failed':
        this.#options.onConnectFailed(message);
        break;
      case 'no-answer':
        this.#options.onNoAnswer(message);
        break;
      case 'names-asked':
        this.#options.onNamesAsked(message);
        break;
      case 'faults-in-a-row':
        this.#options.onFaultsInARow(message);
        break;
      case 'no-proxy-header':
        this.#proxyFaults.add(message);
        break;
      case 'client-fault':
        this.#http2Faults.add(message);
        break;
      case 'access-log':
        this.#options.onAccessLog(ring.bytes(message.block, message.length), message.count, () =>
          ring.release(message.block),
        );
        break;
      case 'traced':
        this.#options.onTraced(message.exchanges);
        this.#places[index]?.post({ kind: 'taken' });
        break;
      case 'rate-ask':
        this.#options.onRateAsk(message, (answer) => this.#places[index]?.post(answer));
        break;
      case 'session-ask':
        this.#options.onSessionAsk(message, (answer) => this.#places[index]?.post(answer));
        break;
      case 'log':
        this.#options.log[message.level](message.event, message.message, {
          ...message.fields,
          thread: index,
        });
        break;
      default:
        message satisfies never;
    }
  }

  #died(index: number, reason: { readonly error?: unknown; readonly exitCode: number }): void {
    this.#held.giveBackShareOf(index);
    giveBackProcessShare(this.counters, index);
    // It looks through all of a table; and nobody comes any more who would be told that a client has too many connections.
    if (!this.#isEnding) giveBackClientShare(this.clientTables, index);
    this.#announcements.died(index);
    this.#draining.get(index)?.(0);
    this.#draining.delete(index);
    if (this.#isEnding) return;
    this.#options.log.error('data_thread.died', `data thread ${index} died`, {
      thread: index,
      exit_code: reason.exitCode,
      ...(reason.error !== undefined && { error: reason.error }),
    });
    const cause = reason.error instanceof Error ? `: ${reason.error.message}` : '';
    this.#listening.died(index, `data thread ${index} died${cause}`);
  }

  #loseListener(lost: ListenerSnapshot): void {
    const snapshot = this.#current();
    this.#snapshot = { ...snapshot, listeners: snapshot.listeners.filter((one) => one !== lost) };
    this.#options.onListenerLost(lost);
  }
}
