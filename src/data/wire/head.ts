/**
 * A head as the rules read it: fields by number, whatever form it came in. The parser of HTTP/1.1 is one of itself; nothing
 * that reads a head knows where its bytes are.
 *
 * A head is lent: it is good until the call that brought its bytes returns. What must be kept is taken as a string.
 */

/** In place of a field's number, in `lines`: from the first line on. */
export const FIRST_LINE = -1;

export interface Head {
  /** HTTP/1.`minor`: 0 or 1. */
  readonly versionMinor: number;
  readonly fieldCount: number;
  /** Its first line is as we would write it: `lines(FIRST_LINE, …)` has it. */
  readonly keepsFirstLine: boolean;
  /** The known name that it has, see fields.ts. */
  id(field: number): number;
  /** In the case that it came in. */
  name(field: number): string;
  /** Latin-1, without the space around it. */
  value(field: number): string;
  /** The rest is `value` without making a string of it. */
  valueLength(field: number): number;
  valueCode(field: number, index: number): number;
  /** Whether the value is `text`, letter for letter. */
  isValue(field: number, text: string): boolean;
  /** Whether `name` (lower case) is its name, in any case. */
  isNamed(field: number, name: string): boolean;
  /** The fields [from, to) as whole lines of HTTP/1.1, each ended by CR LF: as they came where that is what came. */
  lines(from: number, to: number): string;
}

export interface RequestHead extends Head {
  /** Empty where it has not come so far. */
  readonly method: string;
  readonly target: string;
}

export interface ResponseHead extends Head {
  readonly status: number;
  readonly reason: string;
}

/** The value of the first field with this id, or null. */
export function findField(head: Head, id: number): string | null {
  for (let field = 0; field < head.fieldCount; field++) {
    if (head.id(field) === id) return head.value(field);
  }
  return null;
}

/** The value of the first field with this name (lower case), or null: of one that has no number. */
export function fieldNamed(head: Head, name: string): string | null {
  for (let field = 0; field < head.fieldCount; field++) {
    if (head.isNamed(field, name)) return head.value(field);
  }
  return null;
}

/**
 * The first of a comma-separated list: in one that grows to the right, what whoever was nearest to the client has said.
 * Empty without a list.
 */
export function firstOf(list: string | null): string {
  if (list === null) return '';
  const comma = list.indexOf(',');
  return (comma === -1 ? list : list.slice(0, comma)).trim();
}

/** Whether a comma-separated list holds `token` (lower case). */
export function hasToken(list: string, token: string): boolean {
  if (list === token) return true;
  return list.split(',').some((part) => part.trim().toLowerCase() === token);
}
