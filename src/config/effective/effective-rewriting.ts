/** What a route changes on the way, in the words of a config file. */
import type { FieldRules, NamedTemplate, Rewriting, TargetRule } from '../../snapshot/rewriting.ts';
import { isSecretField } from '../../snapshot/secret-field.ts';
import { templateText } from '../read/template-text.ts';

export function rewritingOf(rewriting: Rewriting | null): Readonly<Record<string, unknown>> {
  if (rewriting === null) return {};
  const { target, requestFields, responseFields } = rewriting;
  return {
    ...(target === null ? {} : targetOf(target)),
    ...(requestFields === null ? {} : { request_headers: rulesOf(requestFields) }),
    ...(responseFields === null ? {} : { response_headers: rulesOf(responseFields) }),
  };
}

/** What is not shown of it, by its place below the route. */
export function hiddenOf(rewriting: Rewriting | null): [place: string, value: string][] {
  const { requestFields = null, responseFields = null } = rewriting ?? {};
  return [
    ...hiddenOfRules('request_headers', requestFields),
    ...hiddenOfRules('response_headers', responseFields),
  ];
}

function hiddenOfRules(key: string, rules: FieldRules | null): [place: string, value: string][] {
  if (rules === null) return [];
  return (['set', 'add'] as const).flatMap((list) =>
    rules[list]
      .filter(({ name, value }) => isHiddenValue(name, value))
      .map(({ name, value }): [string, string] => [`${key}.${list}.${name}`, templateText(value)]),
  );
}

function targetOf(target: TargetRule): Readonly<Record<string, unknown>> {
  return target.kind === 'strip'
    ? { strip_prefix: target.prefix }
    : { rewrite: templateText(target.template) };
}

function rulesOf({ set, add, remove }: FieldRules): Readonly<Record<string, unknown>> {
  return {
    ...(set.length === 0 ? {} : { set: valuesOf(set) }),
    ...(add.length === 0 ? {} : { add: valuesOf(add) }),
    ...(remove.length === 0 ? {} : { remove }),
  };
}

function valuesOf(fields: readonly NamedTemplate[]): Readonly<Record<string, string>> {
  return Object.fromEntries(fields.map(({ name, value }) => [name, shown(name, value)]));
}

const HIDDEN = '***';

/** What is written out of a field that holds secrets is one. */
function shown(name: string, value: NamedTemplate['value']): string {
  return isHiddenValue(name, value) ? HIDDEN : templateText(value);
}

function isHiddenValue(name: string, value: NamedTemplate['value']): boolean {
  return isSecretField(name) && value.some((part) => typeof part === 'string');
}
