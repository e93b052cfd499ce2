/**
 * What the JSON gateway of etcd says and is told. It writes int64 as strings, bytes as base64, and leaves out whatever is `false`, `0` or
 * empty: a commit that has failed has no `succeeded`, a lease that is gone has no `TTL`.
 */
import { z } from 'zod';
import type { Change, Condition, StoredObject, Write } from '../registry-store.ts';

/** Revisions stay below 2^53 for longer than anybody lives. */
const int64 = z
  .union([z.string(), z.number()])
  .transform(Number)
  .refine(Number.isSafeInteger, 'is no integer');
const left = int64.optional().default(0);
const bytes = z
  .string()
  .optional()
  .default('')
  .transform((text) => Buffer.from(text, 'base64').toString());

const header = z.object({ revision: left });

const keyValue = z.object({
  key: bytes,
  value: bytes,
  mod_revision: left,
  create_revision: left,
});

const event = z.object({ type: z.string().optional(), kv: keyValue });

export const RANGE = z.object({
  header,
  kvs: z.array(keyValue).optional().default([]),
  more: z.boolean().optional().default(false),
});

export const COMMIT = z.object({
  header,
  succeeded: z.boolean().optional().default(false),
  responses: z
    .array(z.object({ response_range: RANGE.partial({ header: true }).optional() }))
    .optional()
    .default([]),
});

export const GRANT = z.object({ ID: z.string(), TTL: left });
export const KEPT_ALIVE = z.object({ result: z.object({ TTL: left }) });
export const LOGGED_IN = z.object({ token: z.string() });

export const WATCHED = z.object({
  result: z
    .object({
      header,
      created: z.boolean().optional().default(false),
      canceled: z.boolean().optional().default(false),
      compact_revision: left,
      cancel_reason: z.string().optional().default(''),
      events: z.array(event).optional().default([]),
    })
    .optional(),
  error: z.object({ message: z.string().optional() }).optional(),
});

/** Of a refusal. 3.6 has no `error` any more. */
export const REFUSAL = z.object({ code: z.number().optional(), message: z.string().optional() });

export function objectOf(raw: z.output<typeof keyValue>): StoredObject {
  const { key, value, mod_revision: revision, create_revision: createdAt } = raw;
  return { key, value, revision, createdAt };
}

export function changeOf({ type, kv }: z.output<typeof event>): Change {
  return { key: kv.key, object: type === 'DELETE' ? undefined : objectOf(kv) };
}

export function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** All keys that begin with it, as etcd has ranges: up to the next key that does not. No byte of UTF-8 is 255. */
export function prefixRange(prefix: string): { key: string; range_end: string } {
  if (prefix === '') return { key: base64('\0'), range_end: base64('\0') };
  const end = Buffer.from(prefix);
  end[end.length - 1] = (end.at(-1) ?? 0) + 1;
  return { key: base64(prefix), range_end: end.toString('base64') };
}

export function compareOf(condition: Condition): object {
  const equal = { key: base64(condition.key), result: 'EQUAL' };
  if ('isAbsent' in condition) return { ...equal, target: 'CREATE', create_revision: '0' };
  if ('revision' in condition) {
    return { ...equal, target: 'MOD', mod_revision: String(condition.revision) };
  }
  if ('createdAt' in condition) {
    return { ...equal, target: 'CREATE', create_revision: String(condition.createdAt) };
  }
  return { ...equal, target: 'VALUE', value: base64(condition.value) };
}

export function operationOf(write: Write): object {
  if ('remove' in write) return { request_delete_range: { key: base64(write.remove) } };
  const { put, value, lease } = write;
  return { request_put: { key: base64(put), value: base64(value), ...(lease && { lease }) } };
}
