/**
 * Tracing, as a data thread does it: which requests are recorded, and what becomes of them handed to the control plane in batches,
 * which makes spans of it. It is asked only where `tracing` is configured.
 *
 * One batch at a time is on its way: a control plane that is slow costs spans, which are counted, and neither memory nor time.
 */
import { performance } from 'node:perf_hooks';
import { ALL } from '../../snapshot/access-log-rules.ts';
import type { PostToControl } from '../../snapshot/messages.ts';
import type { ProcessCounters } from '../../snapshot/process-counters.ts';
import type { TracedExchange } from '../../snapshot/traced-exchange.ts';
import { Chance } from '../balance/chance.ts';
import type { CommonRules } from '../pool/common-rules.ts';
import { FIELD_USER_AGENT } from '../wire/fields.ts';
import { findField, type RequestHead } from '../wire/head.ts';
import { parseTraceParent, SAMPLED } from '../wire/trace-context.ts';
import type { AccessLogEntry } from './access-log-entry.ts';
import { RandomIds } from './random-ids.ts';
import { Redaction } from './redaction.ts';
import { MOST_LENGTH, recordOf } from './request-record.ts';
import { Trace } from './trace.ts';

/** As many as wait here, at most; and so many are handed over at once, before the next tick. */
const MOST_WAITING = 1024;
const BATCH = 256;
/** W3C Trace Context §3.3.1.1: what has to pass at least. */
const MOST_STATE = 512;
const NONE: readonly string[] = [];

export class Traces {
  readonly #post: PostToControl;
  readonly #counters: ProcessCounters;
  readonly #chance: Chance;
  readonly #ids = new RandomIds();
  #waiting: TracedExchange[] = [];
  #isOnItsWay = false;
  #redactedParameters = NONE;
  #redaction = new Redaction([]);

  /** @param random uniform in [0, 1). */
  constructor(post: PostToControl, counters: ProcessCounters, random: () => number) {
    this.#post = post;
    this.#counters = counters;
    this.#chance = new Chance(random);
  }

  /** @returns null: what the client says of its trace goes on as it came. */
  begin(head: RequestHead, share: number, scheme: string): Trace | null {
    const said = valuesOf(head, 'traceparent');
    const states = valuesOf(head, 'tracestate');
    // Of several, none counts (W3C Trace Context §3.2).
    const parent = said.length === 1 ? parseTraceParent(said[0] as string) : null;
    // Parent-based: who began the trace has decided whether it is recorded.
    if (parent !== null && (parent.flags & SAMPLED) === 0) return null;
    const isRecorded = parent !== null || this.#chance.below(ALL) < share;
    return new Trace(
      {
        traceId: parent?.traceId ?? this.#ids.hex(16),
        parentId: parent?.spanId ?? null,
        flags: parent?.flags ?? (isRecorded ? SAMPLED : 0),
        state: parent === null ? '' : joined(states),
        scheme,
        userAgent: isRecorded ? findField(head, FIELD_USER_AGENT) : null,
        hasFields: said.length + states.length > 0,
        startedAt: performance.now(),
      },
      this.#ids,
    );
  }

  /** The same span for a copy of its request, whose attempts are nobody's. */
  forCopy({ origin, spanId }: Trace): Trace {
    return new CopiedTrace(origin, this.#ids, spanId);
  }

  /** @param trace that is recorded */
  record(entry: AccessLogEntry, trace: Trace, { tracing }: Pick<CommonRules, 'tracing'>): void {
    if (this.#waiting.length === MOST_WAITING) {
      this.#counters.spansDropped(1 + trace.attempts.length);
      return;
    }
    // Where it is off by now, it was not when the request came.
    if (tracing !== null) this.#adopt(tracing.redactedParameters);
    this.#waiting.push(traced(entry, trace, this.#redaction));
    if (this.#waiting.length >= BATCH) this.flush();
  }

  /** What was handed over has arrived. */
  taken(): void {
    this.#isOnItsWay = false;
    if (this.#waiting.length >= BATCH) this.flush();
  }

  /** Called by the thread's tick as well. @param isLast whatever is on its way: nothing follows */
  flush(isLast = false): void {
    if (this.#waiting.length === 0 || (this.#isOnItsWay && !isLast)) return;
    const exchanges = this.#waiting;
    this.#waiting = [];
    this.#isOnItsWay = true;
    this.#post({ kind: 'traced', exchanges });
  }

  #adopt(redactedParameters: readonly string[]): void {
    if (redactedParameters === this.#redactedParameters) return;
    this.#redactedParameters = redactedParameters;
    this.#redaction = new Redaction(redactedParameters);
  }
}

class CopiedTrace extends Trace {
  override attempt(): null {
    return null;
  }
}

function valuesOf(head: RequestHead, name: string): readonly string[] {
  let values: string[] | null = null;
  for (let field = 0; field < head.fieldCount; field++) {
    if (!head.isNamed(field, name)) continue;
    values ??= [];
    values.push(head.value(field));
  }
  return values ?? NONE;
}

function joined(states: readonly string[]): string {
  const state = states.filter((value) => value !== '').join(',');
  return state.length > MOST_STATE ? '' : state;
}

function traced(entry: AccessLogEntry, trace: Trace, redaction: Redaction): TracedExchange {
  const { origin, spanId } = trace;
  // The wall clock of now: the precise one goes on from the start of the thread, and drifts away from it.
  const offsetMs = Date.now() - performance.now();
  const attempts = trace.attempts.flatMap(({ spanId: id, startedAt, record }) =>
    record === null ? [] : [{ spanId: id, startedAtMs: offsetMs + startedAt, record }],
  );
  return {
    traceId: origin.traceId,
    spanId,
    parentId: origin.parentId,
    flags: origin.flags,
    state: origin.state,
    scheme: origin.scheme,
    userAgent: origin.userAgent,
    target: redaction.of(trace.target.slice(0, MOST_LENGTH)),
    startedAtMs: offsetMs + origin.startedAt,
    grpcStatus: entry.grpcStatus,
    // Its attempts stand beside it, each with its span.
    request: { ...recordOf(entry, redaction), attempts: [] },
    attempts,
  };
}
