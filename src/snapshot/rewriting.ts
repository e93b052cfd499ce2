/** The contract between the planes: what a route changes of its requests on their way, and of their answers. */
import { hasPath, type Template } from './template.ts';

export interface NamedTemplate {
  /** As written. */
  readonly name: string;
  readonly value: Template;
}

/** No name stands here twice, in whatever case. */
export interface FieldRules {
  /** In place of all fields of that name. */
  readonly set: readonly NamedTemplate[];
  /** Beside them. */
  readonly add: readonly NamedTemplate[];
  readonly remove: readonly string[];
}

/** Where tracing is on, what backends are told in it is the span of their attempt. */
export function isSpanField(name: string): boolean {
  return name.toLowerCase() === 'traceparent';
}

export type TargetRule =
  /** So many segments are taken off, which are those that the path of the route begins with: written out, `prefix`. */
  | { readonly kind: 'strip'; readonly prefix: string; readonly segments: number }
  /** Of a target: see config/schema/template-schema.ts. */
  | { readonly kind: 'template'; readonly template: Template };

/** At least one of them is not null. */
export interface Rewriting {
  readonly target: TargetRule | null;
  readonly requestFields: FieldRules | null;
  /** Of every answer but the interim ones. */
  readonly responseFields: FieldRules | null;
}

/** Whether it depends on the path what is made of a request. */
export function rewritesByPath({ target, requestFields, responseFields }: Rewriting): boolean {
  if (target !== null) return true;
  return [requestFields, responseFields].some((rules) =>
    [...(rules?.set ?? []), ...(rules?.add ?? [])].some(({ value }) => hasPath(value)),
  );
}
