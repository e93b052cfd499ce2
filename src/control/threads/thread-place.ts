/**
 * The place of one data thread: whoever dies in it is replaced, under the same index.
 *
 * A replacement comes at once, and listens where its predecessor did. Only threads that die again and again right after
 * their start are slowed down.
 */
import type { Functions } from '../../data/relay/hooks.ts';
import type { Logger } from '../../observe/logger.ts';
import { createLogRing, LogRing } from '../../snapshot/log-ring.ts';
import type {
  DataThreadInit,
  DrainBackendMessage,
  FromDataThread,
  ToDataThread,
} from '../../snapshot/messages.ts';
import type { Eligibility, Snapshot } from '../../snapshot/snapshot.ts';
import { changeBetween, withEligibility } from '../../snapshot/snapshot-change.ts';
import { type DataThread, startInThisThread, startWorker } from './data-thread.ts';

/** A thread that dies sooner than this after its start died quickly. */
const QUICK_DEATH_MS = 1000;
const QUICK_DEATHS_IN_A_ROW = 5;
const SLOW_RESTART_MS = 1000;

/** What all places share. */
export interface PlaceOptions {
  readonly log: Logger;
  /** Else the data plane runs in this thread. */
  readonly isWorker: boolean;
  readonly workerUrl: URL | undefined;
  /** For the data plane in this thread. */
  readonly functions: Functions | null;
  /** What a thread that starts now is born with, beside its own. */
  readonly init: () => Omit<DataThreadInit, 'threadIndex' | 'logRing'>;
  /** What a replacement has to know of backends that drain. */
  readonly drainsLeft: () => readonly DrainBackendMessage[];
  /** `ring` holds what a message of the access log speaks of. */
  readonly onMessage: (index: number, message: FromDataThread, ring: LogRing) => void;
  /** The thread of a place has to listen where the one before it did. */
  readonly listenAgain: (index: number) => void;
  /** A thread has died, and its place is empty. */
  readonly onDied: (
    index: number,
    reason: { readonly error?: unknown; readonly exitCode: number },
  ) => void;
}

export class ThreadPlace {
  readonly index: number;
  restarts = 0;
  readonly #options: PlaceOptions;
  #thread: DataThread | undefined;
  /** What the thread runs on, once it has read all that it was sent. */
  #told: Snapshot | undefined;
  /** A replacement has to listen again. */
  #hasListened = false;
  #isClosed = false;
  #startedAt = 0;
  #quickDeaths = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(index: number, options: PlaceOptions) {
    this.index = index;
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#thread === undefined;
  }

  async start(): Promise<void> {
    this.#startedAt = performance.now();
    const { init, isWorker, workerUrl, functions, onMessage } = this.#options;
    const logRing = createLogRing();
    const ring = new LogRing(logRing);
    const whole: DataThreadInit = { ...init(), threadIndex: this.index, logRing };
    this.#told = whole.snapshot;
    const receive = (message: FromDataThread): void => {
      if (message.kind === 'listening') this.#hasListened = true;
      onMessage(this.index, message, ring);
    };
    if (!isWorker) {
      this.#thread = await startInThisThread(whole, receive, functions);
      return;
    }
    const thread = startWorker(whole, {
      ...(workerUrl && { url: workerUrl }),
      onMessage: (message) => {
        if (this.#thread === thread) receive(message);
      },
      onEnd: (reason) => {
        if (this.#thread !== thread) return;
        this.#thread = undefined;
        this.#options.onDied(this.index, reason);
        this.#replace();
      },
    });
    this.#thread = thread;
  }

  /** Lost where nobody is in the place: a replacement is born with what matters. */
  post(message: ToDataThread): void {
    this.#thread?.post(message);
  }

  /** To be run on from now on: only what is different is sent. */
  postSnapshot(sequence: number, snapshot: Snapshot): void {
    const before = this.#told;
    if (this.#thread === undefined || before === undefined) return;
    this.#told = snapshot;
    this.post({ kind: 'snapshot', sequence, change: changeBetween(before, snapshot) });
  }

  postEligibility(sequence: number, poolId: number, eligibility: Eligibility): void {
    if (this.#thread === undefined || this.#told === undefined) return;
    this.#told = withEligibility(this.#told, poolId, eligibility);
    this.post({ kind: 'eligibility', sequence, poolId, eligibility });
  }

  /** The port of a replacement was taken in the moment that it was free. */
  listenLater(): void {
    this.#later(() => this.#options.listenAgain(this.index));
  }

  terminate(reason: Error): void {
    this.#thread?.terminate(reason);
  }

  /** Nobody is replaced from now on. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async stop(graceMs: number): Promise<void> {
    this.close();
    await this.#thread?.stop(graceMs);
  }

  #replace(): void {
    const isQuick = performance.now() - this.#startedAt < QUICK_DEATH_MS;
    this.#quickDeaths = isQuick ? this.#quickDeaths + 1 : 0;
    clearTimeout(this.#timer);
    if (this.#quickDeaths < QUICK_DEATHS_IN_A_ROW) this.#restart();
    else this.#later(() => this.#restart());
  }

  #restart(): void {
    if (this.#isClosed) return;
    this.restarts++;
    this.start().catch((error: unknown) => {
      // The system has no thread to give: as good as one that died at once.
      this.#options.log.error('data_thread.not_started', `data thread ${this.index} can't start`, {
        thread: this.index,
        error,
      });
      this.#replace();
    });
    for (const drain of this.#options.drainsLeft()) this.post(drain);
    if (this.#hasListened) this.#options.listenAgain(this.index);
  }

  #later(action: () => void): void {
    clearTimeout(this.#timer);
    if (!this.#isClosed) this.#timer = setTimeout(action, SLOW_RESTART_MS);
  }
}
