/** `traceparent` as a field has it: W3C Trace Context §3.2. */

export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
  /** Those that we know: sampled, and random trace id (level 2). */
  readonly flags: number;
}

export const SAMPLED = 1;
const KNOWN_FLAGS = 3;

const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const NO_VERSION = 'ff';
const NO_ID = /^0+$/;

/** Null: it is none, and who gets it begins a new trace. Of versions to come, what stands where it does today counts (§3.2.4). */
export function parseTraceParent(text: string): TraceParent | null {
  const [, version, traceId = '', spanId = '', flags = '', rest] = FORM.exec(text) ?? [];
  if (version === undefined || version === NO_VERSION) return null;
  if (version === '00' && rest !== undefined) return null;
  if (NO_ID.test(traceId) || NO_ID.test(spanId)) return null;
  return { traceId, spanId, flags: Number.parseInt(flags, 16) & KNOWN_FLAGS };
}

/** The whole field line. */
export function traceParentLine(traceId: string, spanId: string, flags: number): string {
  return `traceparent: 00-${traceId}-${spanId}-0${flags}\r\n`;
}
