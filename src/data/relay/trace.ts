/** The place of one exchange in a trace: its span, and those of its attempts. */
import type { KeptAttempt } from '../../snapshot/kept-request.ts';
import { SAMPLED, traceParentLine } from '../wire/trace-context.ts';
import type { RandomIds } from './random-ids.ts';

/** In lower case. */
const PARENT: ReadonlySet<string> = new Set(['traceparent']);
/** What a client says of a trace that is not gone on with means nothing (W3C Trace Context §3.3). */
const ALL: ReadonlySet<string> = new Set(['traceparent', 'tracestate']);

export interface TraceOrigin {
  readonly traceId: string;
  /** The client's span; null: the trace begins here. */
  readonly parentId: string | null;
  readonly flags: number;
  readonly state: string;
  readonly scheme: string;
  readonly userAgent: string | null;
  /** The request came with fields that say something of a trace. */
  readonly hasFields: boolean;
  /** On the precise clock. */
  readonly startedAt: number;
}

export class Trace {
  readonly origin: TraceOrigin;
  readonly spanId: string;
  /** What is forwarded: a path and its query. */
  target = '';
  /** Those that are over. */
  readonly attempts: AttemptSpan[] = [];
  readonly #ids: RandomIds;

  constructor(origin: TraceOrigin, ids: RandomIds, spanId = ids.hex(8)) {
    this.origin = origin;
    this.#ids = ids;
    this.spanId = spanId;
  }

  /** Else backends are told that nobody records it, and that is all. */
  get isRecorded(): boolean {
    return (this.origin.flags & SAMPLED) !== 0;
  }

  /** An attempt begins. @param now on the precise clock */
  attempt(now: number): AttemptSpan | null {
    return this.isRecorded ? new AttemptSpan(this, this.#ids.hex(8), now) : null;
  }

  /** What a backend is told, as a whole line. @param span null: of an attempt that has none */
  line(span: AttemptSpan | null): string {
    const { traceId, flags } = this.origin;
    return traceParentLine(traceId, (span ?? this).spanId, flags);
  }

  /** Of a request: which fields go no further. @param nominated those by its own words */
  dropped(nominated: ReadonlySet<string> | null): ReadonlySet<string> | null {
    const { hasFields, parentId } = this.origin;
    if (!hasFields) return nominated;
    const names = parentId === null ? ALL : PARENT;
    return nominated === null ? names : new Set([...nominated, ...names]);
  }
}

export class AttemptSpan {
  readonly spanId: string;
  /** On the precise clock. */
  readonly startedAt: number;
  record: KeptAttempt | null = null;
  readonly #trace: Trace;

  constructor(trace: Trace, spanId: string, startedAt: number) {
    this.#trace = trace;
    this.spanId = spanId;
    this.startedAt = startedAt;
  }

  end(record: KeptAttempt): void {
    this.record = record;
    this.#trace.attempts.push(this);
  }
}
