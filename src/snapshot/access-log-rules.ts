/** The contract between the planes: which exchanges have a line in the access log, and what stands in it. */

/** Of a line of JSON, in their order. */
export const LOG_FIELDS = [
  'time',
  'client',
  'method',
  'host',
  'path',
  'protocol',
  'status',
  'grpc_status',
  'ended',
  'bytes_in',
  'bytes_out',
  'duration_ms',
  'queue_ms',
  'connect_ms',
  'first_byte_ms',
  'route',
  'split',
  'pool',
  'backend',
  'backend_protocol',
  'attempts',
  'request_id',
  'error',
  'error_source',
  'error_detail',
  'phase',
  'hint',
] as const;
export type LogField = (typeof LOG_FIELDS)[number];

/** Stands for the value of what is a secret. */
export const REDACTED = 'REDACTED';

/** A field of the request's head. */
export interface LoggedHeader {
  /** In lower case. */
  readonly name: string;
  /** It is logged that it came, and not what it said. */
  readonly isRedacted: boolean;
}

/** What shares are of: a ten-thousandth of a percent is the least. */
export const ALL = 1_000_000;

export interface AccessLogRules {
  readonly isEnabled: boolean;
  readonly format: 'json' | 'combined';
  /** Those of a line of JSON: see `bitOf`. */
  readonly fields: number;
  /** Behind them. */
  readonly headers: readonly LoggedHeader[];
  /** Of the query: those whose values are not written. In lower case. */
  readonly redactedParameters: readonly string[];
  /** How many of the exchanges that went well have a line: of `ALL`. */
  readonly share: number;
  /** Those that took so long, in ms, have one all the same. */
  readonly slowMs: number;
}

/** What stands for it in `AccessLogRules.fields`. */
export function bitOf(field: LogField): number {
  return 1 << LOG_FIELDS.indexOf(field);
}

export function bitsOf(fields: readonly LogField[]): number {
  return fields.reduce((bits, field) => bits | bitOf(field), 0);
}
