/** Bodies of calls: JSON objects whose every key is known. */
import type { z } from 'zod';
import { findDuplicateKey } from '../../config/read/strict-json.ts';
import { didYouMean } from '../../config/values/nearest.ts';
import type { Form } from './form.ts';
import { excessOf } from './json-bounds.ts';
import { ProblemError } from './problem.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * The content type is not looked at: `curl -d` says form-urlencoded, and Origin is what keeps web pages out.
 * @throws ProblemError 400 where it is no JSON, 422 where it is no object or holds another key
 */
export function parseObject(body: Buffer, its: Form<z.ZodObject>): JsonObject {
  const keys = Object.keys(its().shape);
  const value = parseJson(body);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ProblemError(422, 'ERR_NOT_AN_OBJECT', 'The body must be a JSON object.', {
      hint: `with ${keys.join(', ')}`,
    });
  }
  for (const key of Object.keys(value)) {
    if (keys.includes(key)) continue;
    throw new ProblemError(
      422,
      'ERR_UNKNOWN_KEY',
      `${JSON.stringify(clip(key))} is not known here.`,
      {
        hint: `possible: ${keys.join(', ')}`,
        ...didYouMean(key, keys),
      },
    );
  }
  // A copy without a prototype: `url` of `{}` is undefined and nothing else.
  return Object.assign(Object.create(null) as object, value) as JsonObject;
}

/** @throws ProblemError 422 */
export function requireText(object: JsonObject, key: string): string {
  const value = object[key];
  if (typeof value === 'string') return value;
  throw new ProblemError(
    422,
    'ERR_INVALID_VALUE',
    value === undefined ? `"${key}" is missing.` : `"${key}" must be a string.`,
  );
}

export function clip(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

function parseJson(body: Buffer): unknown {
  if (body.length === 0) {
    throw new ProblemError(
      400,
      'ERR_BAD_JSON',
      'The body is empty; this call needs a JSON object.',
    );
  }
  const excess = excessOf(body);
  if (excess !== undefined) {
    throw new ProblemError(400, 'ERR_BAD_JSON', `The body is no JSON that a call takes. ${excess}`);
  }
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ProblemError(400, 'ERR_BAD_JSON', `The body is not JSON: ${clip(reason)}`);
  }
  // RFC 8259 §4: names should be unique, or readers differ in what they make of it.
  const twice = findDuplicateKey(text);
  if (twice === undefined) return value;
  throw new ProblemError(
    400,
    'ERR_BAD_JSON',
    `The key ${JSON.stringify(clip(twice))} is there more than once.`,
  );
}
