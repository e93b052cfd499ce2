/** The fields of one header block, in order. One object is used for one block after the other. */
import { FIELD_COOKIE } from '../fields.ts';
import { type Field, PSEUDO_NONE } from './field.ts';

export interface FieldLimits {
  /** As SETTINGS_MAX_HEADER_LIST_SIZE counts: 32 bytes more for each field. */
  readonly headBytes: number;
  /** As HTTP/1.1 counts: without what is no field there, and all cookie crumbs as one. */
  readonly fields: number;
}

export class FieldList {
  readonly fields: Field[] = [];
  /** Those of `fields` that are of this block: the rest is of older ones. */
  count = 0;
  /** RFC 9113 §10.5.1. */
  size = 0;
  #counted = 0;

  clear(): void {
    this.count = 0;
    this.size = 0;
    this.#counted = 0;
  }

  /** @returns false: the limits don't let it in. */
  add(field: Field, limits: FieldLimits): boolean {
    const size = this.size + field.size;
    if (size > limits.headBytes) return false;
    if (field.pseudo === PSEUDO_NONE && field.id !== FIELD_COOKIE) {
      if (this.#counted >= limits.fields) return false;
      this.#counted++;
    }
    this.fields[this.count++] = field;
    this.size = size;
    return true;
  }
}
