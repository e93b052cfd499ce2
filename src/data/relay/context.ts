/**
 * What everything in one data thread shares: the view in force, the deadlines, the counters, the way to the control
 * plane, and spare parts that are lent out and come back.
 */
import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { ERROR_CODES, type ErrorCode } from '../../errors.ts';
import type { ClientTables, DataThreadInit, PostToControl } from '../../snapshot/messages.ts';
import { processClockOffsetMs } from '../../snapshot/process-clock.ts';
import { ProcessCounters } from '../../snapshot/process-counters.ts';
import { SessionAsks } from '../balance/session-asks.ts';
import { Barrier } from '../barrier.ts';
import { Deadlines } from '../deadlines.ts';
import { Descriptors } from '../descriptors.ts';
import { ClientConnections } from '../limit/client-connections.ts';
import { HeldMemory } from '../limit/held-memory.ts';
import { Logins } from '../limit/logins.ts';
import { RateAsks } from '../limit/rate-asks.ts';
import type { View } from '../pool/view.ts';
import { ThreadIo } from '../stream/thread-io.ts';
import { type HeadLimits, HeadParser } from '../wire/head-parser.ts';
import { AccessLog } from './access-log.ts';
import { FailureLog } from './failure-log.ts';
import { type Functions, Hooks } from './hooks.ts';
import { LastRequests } from './last-requests.ts';
import { Mirrors } from './mirrors.ts';
import { OpenTunnels } from './open-tunnels.ts';
import { Traces } from './traces.ts';

const MAX_SPARE_PARSERS = 64;

/** All pairs of base-36 digits, in order. */
const ID_ENDINGS: readonly string[] = Array.from({ length: 36 * 36 }, (_, value) =>
  value.toString(36).padStart(2, '0'),
);

const ERROR_INDEX = new Map<ErrorCode, number>(ERROR_CODES.map((code, index) => [code, index]));

export class DataContext {
  readonly threadIndex: number;
  readonly threadCount: number;
  readonly deadlines: Deadlines;
  readonly counters: ProcessCounters;
  readonly post: PostToControl;
  readonly barrier: Barrier;
  readonly descriptors = new Descriptors();
  readonly accessLog: AccessLog;
  readonly lastRequests = new LastRequests();
  readonly traces: Traces;
  readonly failures: FailureLog;
  readonly tunnels: OpenTunnels;
  readonly mirrors = new Mirrors();
  readonly io: ThreadIo;
  readonly clientTables: ClientTables;
  readonly clientConnections: ClientConnections;
  readonly heldMemory: HeldMemory;
  readonly logins: Logins;
  readonly rateAsks: RateAsks;
  readonly sessionAsks: SessionAsks;
  /** Null as a rule: no program has given functions. */
  readonly hooks: Hooks | null;
  /** Uniform in [0, 1). */
  readonly random = Math.random;
  /** Answers carry `Connection: close` and connections end after them. */
  isDraining = false;

  #view: View | null = null;
  readonly #processClockOffsetMs = processClockOffsetMs();
  readonly #requestIdPrefix = `${randomBytes(8).toString('hex')}-`;
  #requestIds = 0;
  #dateLine = '';
  #dateLineSecond = 0;
  /** The id but for its last two digits, which change most. */
  #requestIdStart = '';
  #spareRequestParsers: HeadParser[] = [];
  #spareResponseParsers: HeadParser[] = [];
  #spareLenientParsers: HeadParser[] = [];

  constructor(init: DataThreadInit, post: PostToControl, functions: Functions | null) {
    this.threadIndex = init.threadIndex;
    this.threadCount = init.threadCount;
    this.counters = new ProcessCounters(init.counters, init.threadIndex, init.threadCount);
    this.post = post;
    this.barrier = new Barrier(post, this.counters);
    this.failures = new FailureLog(post);
    this.deadlines = new Deadlines(undefined, (error) => this.barrier.crashed('a timer', error));
    this.io = new ThreadIo(this.deadlines);
    this.accessLog = new AccessLog(init.logRing, post, this.counters, Math.random);
    this.traces = new Traces(post, this.counters, Math.random);
    this.clientTables = init.clientTables;
    this.clientConnections = new ClientConnections(init.clientTables.connections, init.threadIndex);
    this.heldMemory = new HeldMemory(this.counters, init.threadCount, post);
    this.logins = new Logins(this.deadlines);
    this.rateAsks = new RateAsks(this.deadlines, () => this.processNowMs(), post);
    this.sessionAsks = new SessionAsks(this.deadlines, post);
    this.hooks = functions === null ? null : new Hooks(functions, post);
    this.tunnels = new OpenTunnels(Math.random, (backendId, count) =>
      post({ kind: 'tunnels-cut', backendId, count }),
    );
  }

  /** For deadlines, coarse: see `Deadlines.nowMs`. */
  get nowMs(): number {
    return this.deadlines.nowMs;
  }

  get view(): View {
    if (this.#view === null) throw new Error('the data plane runs without a snapshot');
    return this.#view;
  }

  /** The one assignment by which a snapshot takes effect. */
  swapView(view: View): void {
    const areHeadsAsBefore = this.#view?.headLimits === view.headLimits;
    this.#view = view;
    this.heldMemory.setLimit(view.snapshot.limits.bufferedBytes);
    this.lastRequests.setLimit(view.snapshot.limits.keptRequestsBytes);
    if (areHeadsAsBefore) return;
    this.#spareRequestParsers = [];
    this.#spareResponseParsers = [];
    this.#spareLenientParsers = [];
  }

  /** Milliseconds on the clock that all threads share, precise: see process-clock.ts. */
  processNowMs(): number {
    return this.#processClockOffsetMs + performance.now();
  }

  /** A Date field line of now (RFC 9110 §5.6.7): made once a second. */
  get dateLine(): string {
    const nowMs = Date.now();
    const second = Math.floor(nowMs / 1_000);
    if (second !== this.#dateLineSecond) {
      this.#dateLineSecond = second;
      this.#dateLine = `Date: ${new Date(nowMs).toUTCString()}\r\n`;
    }
    return this.#dateLine;
  }

  countError(code: ErrorCode): void {
    this.counters.failed(ERROR_INDEX.get(code) as number);
  }

  /** Unique for the life of all instances: 64 random bits of this thread and a count, of one length always. */
  nextRequestId(): string {
    const low = this.#requestIds % ID_ENDINGS.length;
    if (low === 0) {
      const high = (this.#requestIds / ID_ENDINGS.length).toString(36).padStart(5, '0');
      this.#requestIdStart = this.#requestIdPrefix + high;
    }
    this.#requestIds++;
    return this.#requestIdStart + (ID_ENDINGS[low] as string);
  }

  borrowRequestParser(): HeadParser {
    const spare = this.#spareRequestParsers.pop();
    return spare ?? new HeadParser('request', this.view.headLimits.request);
  }

  borrowResponseParser(limits: HeadLimits): HeadParser {
    const spare = this.#sparesFor(limits).pop();
    return spare?.limits === limits ? spare : new HeadParser('response', limits);
  }

  /** Takes a parser back; one made for the limits of an earlier snapshot is let go. */
  returnRequestParser(parser: HeadParser): void {
    this.#keep(this.#spareRequestParsers, parser, this.view.headLimits.request);
  }

  returnResponseParser(parser: HeadParser): void {
    const { response, lenientResponse } = this.view.headLimits;
    const limits = parser.limits.isLenient ? lenientResponse : response;
    this.#keep(this.#sparesFor(limits), parser, limits);
  }

  #sparesFor({ isLenient }: HeadLimits): HeadParser[] {
    return isLenient ? this.#spareLenientParsers : this.#spareResponseParsers;
  }

  #keep(spares: HeadParser[], parser: HeadParser, limits: HeadLimits): void {
    if (spares.length >= MAX_SPARE_PARSERS || parser.limits !== limits) return;
    parser.reset();
    spares.push(parser);
  }
}
