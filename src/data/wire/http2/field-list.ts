/** The fields of one header block, in order. One object is used for one block after the other. */
import type { Field } from './field.ts';

/** As SETTINGS_MAX_HEADER_LIST_SIZE counts: 32 bytes more for each field. */
export interface FieldLimits {
  readonly headBytes: number;
  readonly fields: number;
}

export class FieldList {
  readonly fields: Field[] = [];
  /** Those of `fields` that are of this block: the rest is of older ones. */
  count = 0;
  /** RFC 9113 §10.5.1. */
  size = 0;

  clear(): void {
    this.count = 0;
    this.size = 0;
  }

  add(field: Field): void {
    this.fields[this.count++] = field;
    this.size += field.size;
  }
}
