/** What calls take and answer, as schemas: for the document that says so, and for reading bodies. */
import type { z } from 'zod';

/** A schema that is made when somebody asks for it, which most processes never see, and has a name in the document. */
export interface Form<Schema extends z.ZodType = z.ZodType> {
  (): Schema;
  readonly id: string;
}

export function form<Schema extends z.ZodType>(id: string, make: () => Schema): Form<Schema> {
  let made: Schema | undefined;
  return Object.assign(
    () => {
      made ??= make();
      return made;
    },
    { id },
  );
}

/** A parameter of the query or the path. */
export interface Parameter {
  readonly says: string;
  /** JSON Schema. */
  readonly schema: Readonly<Record<string, unknown>>;
}

/** What a good answer is. */
export interface AnswerForm {
  readonly says: string;
  /** Undefined: there is no JSON. */
  readonly form?: Form;
  /** Default: `application/json`. */
  readonly contentType?: string;
  /** What it may be as well, for whoever accepts that. */
  readonly otherTypes?: readonly string[];
  readonly hasEtag?: boolean;
  readonly hasLocation?: boolean;
}

export interface BodyForm {
  /** Undefined: a text. */
  readonly form?: Form;
  readonly contentTypes: readonly string[];
  readonly mostBytes: number;
}

/** A config of many backends. */
export const MOST_BODY_BYTES = 1024 * 1024;
/** Of all other calls, also those that take none: enough for the longest URL there is. */
export const MOST_JSON_BYTES = 64 * 1024;

export const JSON_TYPE = 'application/json';

/** Of something that changes. */
export function answer(says: string, its: Form): AnswerForm {
  return { says, form: its, hasEtag: true };
}

/** Of which nobody needs to know whether it has changed. */
export function plainAnswer(says: string, its: Form): AnswerForm {
  return { says, form: its };
}

export function jsonBody(its: Form, mostBytes = MOST_JSON_BYTES): BodyForm {
  return { form: its, contentTypes: [JSON_TYPE], mostBytes };
}
