/** The contract between the planes: an exchange that is over, as the spans of OpenTelemetry are made from it. */
import type { KeptAttempt, RequestRecord } from './kept-request.ts';

export interface TracingRules {
  /** How many of the requests that come without a trace begin one that is recorded: of `ALL`. */
  readonly share: number;
  /** Of the query: those whose values are in no span. In lower case. */
  readonly redactedParameters: readonly string[];
}

/** One try at one backend: a span of its own. */
export interface TracedAttempt {
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  /** In ms since 1970, with a fraction. */
  readonly startedAtMs: number;
  readonly record: KeptAttempt;
}

export interface TracedExchange {
  /** 32 hexadecimal digits, and 16. */
  readonly traceId: string;
  readonly spanId: string;
  /** The client's; null: the trace begins here. */
  readonly parentId: string | null;
  /** As in `traceparent`. */
  readonly flags: number;
  /** `tracestate` as it came; empty: there was none. */
  readonly state: string;
  readonly scheme: string;
  readonly userAgent: string | null;
  /** What was forwarded: a path and its query, without what the access log leaves out. */
  readonly target: string;
  /** In ms since 1970, with a fraction. */
  readonly startedAtMs: number;
  /** What a call of gRPC ended with; negative: it was none. */
  readonly grpcStatus: number;
  readonly request: RequestRecord;
  /** In the order in which they ended. */
  readonly attempts: readonly TracedAttempt[];
}
