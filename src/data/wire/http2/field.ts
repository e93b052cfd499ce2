/**
 * A header field as tables and lists hold it: made once, read often, never changed. Whatever follows from its bytes alone is
 * known from then on: which field it is, whether it is well-formed, its line in HTTP/1.1.
 */
import type { ErrorCode } from '../../../errors.ts';

export const PSEUDO_NONE = 0;
export const PSEUDO_AUTHORITY = 1;
export const PSEUDO_METHOD = 2;
export const PSEUDO_PATH = 3;
export const PSEUDO_SCHEME = 4;
export const PSEUDO_STATUS = 5;
export const PSEUDO_PROTOCOL = 6;

/** RFC 7541 §4.1: what an entry costs beside its bytes. */
export const FIELD_OVERHEAD = 32;

export class Field {
  /** As it came: Latin-1; lower case, if it is well-formed. */
  readonly name: string;
  readonly value: string;
  /** Of wire/fields.ts; FIELD_OTHER for a pseudo-header. */
  readonly id: number;
  readonly pseudo: number;
  /** In tables and lists (RFC 7541 §4.1). */
  readonly size: number;
  /** Why no message may have it, wherever it stands; null: it may. */
  readonly error: ErrorCode | null;

  constructor(name: string, value: string, id: number, pseudo: number, error: ErrorCode | null) {
    this.name = name;
    this.value = value;
    this.id = id;
    this.pseudo = pseudo;
    this.size = name.length + value.length + FIELD_OVERHEAD;
    this.error = error;
  }
}
