/**
 * One data plane: its listeners, the backends' live state, and what happens at each tick. It runs in a worker thread, or in the caller's
 * own thread; all it knows of the rest of the process are the messages of snapshot/messages.ts.
 */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import type { Explanation, Question } from '../snapshot/explanation.ts';
import type { KeptRequest } from '../snapshot/kept-request.ts';
import { DELAY_RESOLUTION_MS, LoopDelay } from '../snapshot/loop-delay.ts';
import type {
  DataThreadInit,
  PostToControl,
  StandInMessage,
  ToDataThread,
} from '../snapshot/messages.ts';
import type { Eligibility, ListenerSnapshot, Snapshot } from '../snapshot/snapshot.ts';
import { applyChange, withEligibility } from '../snapshot/snapshot-change.ts';
import { Backend, type ThreadParts } from './backend/backend.ts';
import type { Deadline } from './deadlines.ts';
import type { Relief } from './descriptors.ts';
import { explain } from './explain/explain.ts';
import { Listeners } from './listen/listeners.ts';
import { NameWatch } from './name-watch.ts';
import { Pool } from './pool/pool.ts';
import { setEligible } from './pool/pool-view.ts';
import { createView, type View, type ViewParts } from './pool/view.ts';
import { DataContext } from './relay/context.ts';
import type { Functions } from './relay/hooks.ts';
import { ShadowExchange } from './relay/shadow.ts';

export interface DataPlane {
  /** Takes a message of the control plane. Throws on a kind that it does not know. */
  receive(message: ToDataThread): void;
  /** Counts and logs an exception that belongs to no connection. */
  crashed(where: string, error: unknown): void;
}

/** @param functions of the program; in its own thread only. */
export function createDataPlane(
  init: DataThreadInit,
  post: PostToControl,
  functions: Functions | null = null,
): DataPlane {
  return new Plane(init, post, functions);
}

class Plane implements DataPlane, Relief {
  readonly #context: DataContext;
  readonly #viewParts: ViewParts;
  readonly #listeners: Listeners;
  /** Backends that have left the snapshot: with connections in use, or lately; who waited for them may have one yet. */
  #removed: Backend[] = [];
  readonly #loopDelay: LoopDelay;
  /** What the control plane knows this thread to run on: the snapshot in force, with what was said of pools since. */
  #told: Snapshot;
  #isStopped = false;

  constructor(init: DataThreadInit, post: PostToControl, functions: Functions | null) {
    this.#context = new DataContext(init, post, functions);
    const context = this.#context;
    const threadParts: ThreadParts = {
      threadIndex: context.threadIndex,
      threadCount: context.threadCount,
      io: context.io,
      parsers: context,
      barrier: context.barrier,
      descriptors: context.descriptors,
    };
    this.#viewParts = {
      strategyContext: {
        random: Math.random,
        now: () => performance.now(),
      },
      createPool: (spec) => new Pool(spec, context),
      createBackend: (spec, headLimits, terms) => new Backend(spec, headLimits, threadParts, terms),
      clientTables: init.clientTables,
      sessionAsks: context.sessionAsks,
      rates: {
        memory: init.clientTables.rates,
        reserves: init.clientTables.reserves,
        asks: context.rateAsks,
      },
      processNowMs: () => context.processNowMs(),
      threadIndex: context.threadIndex,
    };
    const bornMs = context.processNowMs();
    this.#loopDelay = new LoopDelay(
      monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS }),
      bornMs,
      context.counters.silentSeconds(bornMs),
    );
    this.#listeners = new Listeners(context, init.reusePort, init.ticketKeys);
    this.#told = init.snapshot;
    this.#swap(this.#told, null);
    context.descriptors.relief = this;
    context.mirrors.createShadow = (request, onOver) =>
      new ShadowExchange(context, request, onOver);
    context.io.lookups.listener = new NameWatch(context);
    context.deadlines.start((nowMs) => this.#tick(nowMs));
    // It may hang before its first tick.
    this.#showLife();
  }

  receive(message: ToDataThread): void {
    switch (message.kind) {
      case 'snapshot':
        this.#told = applyChange(this.#told, message.change);
        this.#swap(this.#told, this.#context.view);
        this.#context.post({ kind: 'applied', sequence: message.sequence });
        break;
      case 'eligibility':
        this.#setEligible(message.poolId, message.eligibility);
        this.#context.post({ kind: 'applied', sequence: message.sequence });
        break;
      case 'ticket-keys':
        this.#listeners.setTicketKeys(message.keys);
        break;
      case 'listen':
        void this.#listen(message.sequence, message.listeners);
        break;
      case 'unlisten':
        this.#listeners.close(message.ids);
        break;
      case 'stand-in':
        void this.#standIn(message);
        break;
      case 'stand-in-over':
        this.#listeners.endStandIn(message.forThread);
        break;
      case 'drain-backend':
        this.#drainBackend(message.backendId, message.deadlineMs);
        break;
      case 'keep-backend':
        this.#context.tunnels.keep(message.backendId);
        break;
      case 'cut-backend':
        this.#cutBackend(message.backendId);
        break;
      case 'drain':
        this.#drain(message.deadlineMs, message.isHandedOn);
        break;
      case 'explain':
        this.#explain(message.sequence, message.question);
        break;
      case 'show-kept':
        this.#showKept(message.sequence, message.id);
        break;
      case 'taken':
        this.#context.traces.taken();
        break;
      case 'rate-answer':
        this.#context.rateAsks.answered(message);
        break;
      case 'session-answer':
        this.#context.sessionAsks.answered(message);
        break;
      case 'counter-engine':
        this.#context.rateAsks.isEngineDown = message.isDown;
        this.#context.sessionAsks.isEngineDown = message.isDown;
        break;
      case 'stop':
        this.#stop();
        break;
      default:
        throw new Error(`unknown message ${JSON.stringify(message satisfies never)}`);
    }
  }

  makeRoomOfClients(): boolean {
    return this.#listeners.makeRoom();
  }

  makeRoom(): boolean {
    if (this.makeRoomOfClients()) return true;
    for (const backend of this.#context.view.backends.values()) {
      if (backend.closeOldestIdle()) return true;
    }
    return false;
  }

  crashed(where: string, error: unknown): void {
    this.#context.barrier.crashed(where, error);
  }

  #swap(snapshot: Snapshot, previous: View | null): void {
    const context = this.#context;
    const view = createView(snapshot, previous, this.#viewParts);
    context.swapView(view);
    this.#removed = this.#removed.filter(({ isConnected }) => isConnected);
    if (view.backends !== previous?.backends) {
      for (const [id, backend] of previous?.backends ?? []) {
        if (view.backends.has(id)) continue;
        backend.remove();
        this.#removed.push(backend);
      }
      const hosts = snapshot.pools.flatMap(({ backends }) => backends.map(({ host }) => host));
      context.io.lookups.keepOnly(new Set(hosts));
    }
    const isMissingSome = this.#listeners.update(snapshot.listeners);
    // The thread that had opened them for a reload has died before that was in force.
    if (isMissingSome) void this.#listen(0, snapshot.listeners);
  }

  #setEligible(poolId: number, eligibility: Eligibility): void {
    this.#told = withEligibility(this.#told, poolId, eligibility);
    const pool = this.#context.view.pools.get(poolId);
    const spec = this.#told.pools.find(({ id }) => id === poolId);
    if (pool !== undefined && spec !== undefined) setEligible(pool.view, spec);
  }

  async #listen(sequence: number, listeners: readonly ListenerSnapshot[]): Promise<void> {
    const result = await this.#listeners.open(listeners);
    this.#context.post({ kind: 'listening', sequence, ...result });
  }

  async #standIn(message: StandInMessage): Promise<void> {
    const descriptors = await this.#listeners.standIn(message);
    this.#context.post({ kind: 'standing-in', sequence: message.sequence, descriptors });
  }

  #drainBackend(id: number, deadlineMs: number): void {
    const { tunnels, deadlines, view } = this.#context;
    tunnels.drain(id, deadlineMs, deadlines.now(), view.backends.get(id)?.spec.url);
  }

  #cutBackend(id: number): void {
    const { post, tunnels, view } = this.#context;
    const present = view.backends.get(id);
    const url = present?.spec.url;
    tunnels.cut(id, url);
    // One that has come back is there twice. Another one may have had its id.
    const those = this.#removed.filter((one) => one.id === id && one.spec.url === (url ?? one.key));
    if (present !== undefined) those.push(present);
    const count = those.reduce((sum, backend) => sum + backend.cutOff(), 0);
    if (count > 0) post({ kind: 'requests-cut', backendId: id, count });
  }

  #explain(sequence: number, question: Question): void {
    const { post, barrier } = this.#context;
    let explanation: Explanation | null = null;
    // Whoever asks what would be costs nobody anything.
    barrier.run('an explanation', () => {
      explanation = explain(this.#context, question);
    });
    post({ kind: 'explained', sequence, explanation });
  }

  #showKept(sequence: number, id: string | null): void {
    const { post, barrier, lastRequests, threadIndex, view } = this.#context;
    let requests: readonly KeptRequest[] = [];
    barrier.run('showing the last requests', () => {
      requests = lastRequests.find(id, threadIndex, view.snapshot.accessLog.redactedParameters);
    });
    post({ kind: 'kept', sequence, requests });
  }

  #drain(deadlineMs: number, isHandedOn: boolean): void {
    const { post, deadlines, tunnels } = this.#context;
    this.#context.isDraining = true;
    let deadline: Deadline | undefined;
    let isDone = false;
    let isCutting = false;
    const done = (resetConnections: number): void => {
      if (isDone) return;
      isDone = true;
      if (deadline !== undefined) deadlines.callOff(deadline);
      this.#context.accessLog.flush();
      this.#context.traces.flush(true);
      post({ kind: 'drained', resetConnections });
    };
    const listeners = this.#listeners;
    if (isHandedOn) listeners.leaveFiles();
    const nowMs = deadlines.now();
    deadline = deadlines.set(nowMs + deadlineMs, {
      onDue: () => {
        isCutting = true;
        done(listeners.destroy());
      },
    });
    // The last connection that is cut leaves none as well.
    listeners.drain(deadlineMs, () => {
      if (!isCutting) done(0);
    });
    tunnels.drainAll(deadlineMs, nowMs);
  }

  #stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#context.deadlines.stop();
    this.#loopDelay.stop();
    this.#listeners.destroy();
    this.#context.mirrors.stop();
    for (const backend of this.#context.view.backends.values()) backend.closeIdle();
    this.#context.accessLog.flush();
    this.#context.traces.flush(true);
  }

  #showLife(): void {
    const { counters } = this.#context;
    const processMs = this.#context.processNowMs();
    counters.beat();
    counters.loopIsLate(this.#loopDelay.read(processMs), processMs);
    counters.heapIs(getHeapStatistics().used_heap_size);
  }

  /** @param nowMs what is due by then is late: see deadlines.ts */
  #tick(nowMs: number): void {
    const { barrier, descriptors, io, tunnels, mirrors, accessLog, traces, view } = this.#context;
    this.#showLife();
    this.#listeners.tick(nowMs);
    barrier.run('the tick of descriptors', () => descriptors.tick(nowMs));
    barrier.run('the tick of tunnels', () => tunnels.tick(nowMs));
    barrier.run('the tick of mirrored requests', () => mirrors.tick(nowMs));
    // A backend closes idle connections by its own clock, which has not stood still with ours.
    const realMs = performance.now();
    for (const pool of view.pools.values()) {
      const { backends, spec } = pool.view;
      for (const backend of backends.values()) {
        barrier.run('the tick of a backend', () => {
          backend.closeExpired(realMs, spec.timeouts);
          if (backend.isConnected) io.lookups.refresh(backend.spec.host);
        });
      }
      barrier.run('the tick of the retry budget', () => pool.retryBudget.advance());
    }
    barrier.run('the hand-over of the access log', () => accessLog.flush());
    barrier.run('the hand-over of traces', () => traces.flush());
  }
}
