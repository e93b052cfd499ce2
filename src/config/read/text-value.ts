/**
 * Texts that stand for other values: what a variable or a flag holds, and `${NAME}` in the strings of a file. What a
 * text becomes is decided by what the schema accepts at its place, so that the token `123` stays a text and the port
 * `123` becomes a number.
 */

import type { JsonSchemaNode } from '../schema/schema.ts';
import { isMapping, type Path } from './layer.ts';
import { findJsonFault } from './strict-json.ts';
import { isOfRequest, TEMPLATE_FORMAT, variableMeant } from './template-text.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export type TextValueResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly message: string };

/** What a value may be, each by itself; nothing where the schema knows nothing. */
export function alternatives(node: JsonSchemaNode | undefined): readonly JsonSchemaNode[] {
  if (node === undefined) return [];
  return node.anyOf === undefined ? [node] : node.anyOf.flatMap(alternatives);
}

/** The schema of what lies one step below; undefined where the schema knows nothing. */
export function schemaBelow(
  node: JsonSchemaNode | undefined,
  segment: PropertyKey,
): JsonSchemaNode | undefined {
  for (const one of alternatives(node)) {
    if (one.items !== undefined && typeof segment === 'number') return one.items;
    if (one.properties !== undefined && Object.hasOwn(one.properties, segment)) {
      return one.properties[String(segment)];
    }
    if (one.additionalProperties && typeof segment === 'string') return one.additionalProperties;
  }
  return undefined;
}

/** The names of the keys that a mapping at this place may have. */
export function knownKeys(node: JsonSchemaNode | undefined): readonly string[] {
  return alternatives(node).flatMap((one) => Object.keys(one.properties ?? {}));
}

/** A text that the schema does not accept as anything else stays a text, for validation to judge. */
export function valueOfText(text: string, node: JsonSchemaNode | undefined): TextValueResult {
  if (node === undefined) return { ok: true, value: text };
  const types = new Set(alternatives(node).map((one) => one.type));
  const trimmed = text.trim();
  if (types.has('array')) {
    if (trimmed.startsWith('[')) return parseJson(trimmed);
    const items = trimmed.split(',').map((item) => item.trim());
    return { ok: true, value: items.filter((item) => item !== '') };
  }
  if (types.has('object') && (trimmed.startsWith('{') || !types.has('string'))) {
    return parseJson(trimmed);
  }
  const mayBeNumber = types.has('integer') || types.has('number');
  if (mayBeNumber && /^[+-]?\d+(\.\d+)?$/.test(trimmed))
    return { ok: true, value: Number(trimmed) };
  if (types.has('boolean') && (trimmed === 'true' || trimmed === 'false')) {
    return { ok: true, value: trimmed === 'true' };
  }
  return { ok: true, value: text };
}

function parseJson(text: string): TextValueResult {
  const fault = findJsonFault(text);
  if (fault === undefined) return { ok: true, value: JSON.parse(text) };
  return {
    ok: false,
    message: `is not valid JSON: ${fault.message} at character ${fault.offset + 1}`,
  };
}

const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g;
const NAME_AND_DEFAULT = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

/**
 * Every string below `value` with its `${NAME}` and `${NAME:-default}` filled in; the default also stands in for an
 * empty variable, as in a shell, and `$${` is a plain `${`. `report` hears of what could not be filled in.
 *
 * Where a template stands, variables of the request are left for who reads it, and so is `$${`. What a variable of the
 * environment holds is a text there, whatever it looks like.
 * @param root the schema of what `path` begins at
 */
export function fillInReferences(
  value: unknown,
  root: JsonSchemaNode,
  environment: Environment,
  report: (path: Path, message: string, hint?: string) => void,
  path: Path = [],
): unknown {
  if (Array.isArray(value)) {
    return value.map((item, index) =>
      fillInReferences(item, root, environment, report, [...path, index]),
    );
  }
  if (isMapping(value)) {
    // fromEntries defines its properties, so that a key named __proto__ stays a key for validation to refuse.
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        key,
        fillInReferences(item, root, environment, report, [...path, key]),
      ]),
    );
  }
  if (typeof value !== 'string' || !value.includes('${')) return value;

  const node = path.reduce<JsonSchemaNode | undefined>(schemaBelow, root);
  const isTemplate = alternatives(node).some(({ format }) => format === TEMPLATE_FORMAT);
  const plain = (text: string): string => (isTemplate ? text.replaceAll('${', '$$${') : text);
  let wasFilled = false;
  const text = value.replaceAll(REFERENCE, (whole: string, inner?: string, end?: string) => {
    if (inner === undefined) return isTemplate ? whole : '${';
    if (isTemplate && isOfRequest(inner)) return whole;
    const parts = end === '}' ? NAME_AND_DEFAULT.exec(inner) : null;
    if (parts === null) {
      report(
        path,
        `has a malformed reference ${JSON.stringify(whole)}`,
        'write ${NAME} or ${NAME:-default}; $${ is a plain ${',
      );
      return whole;
    }
    const [, name = '', fallback] = parts;
    const found = Object.hasOwn(environment, name) ? environment[name] : undefined;
    wasFilled = true;
    if (fallback !== undefined) return plain(found || fallback);
    if (found === undefined) {
      report(
        path,
        `the environment variable ${name} is not set`,
        (isTemplate ? variableMeant(name).hint : undefined) ??
          `set it, or write \${${name}:-default}`,
      );
      return whole;
    }
    return plain(found);
  });
  if (!wasFilled) return text;
  const result = valueOfText(text, node);
  if (result.ok) return result.value;
  report(path, result.message);
  return text;
}
