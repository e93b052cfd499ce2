/** What lies below `cfg/`, by the kinds of keys in store-keys.ts. Each object says which version of its form it has. */
import { z } from 'zod';
import { STRATEGY_NAMES } from '../../snapshot/snapshot.ts';
import { ADMIN_STATES, SESSIONS_WHILE_DRAINING } from '../operator-words.ts';
import type { StoredObject } from './registry-store.ts';
import type { StoreKeys } from './store-keys.ts';

const v = z.literal(1);
/** By which whoever wrote it can ask whether it was written. */
const write = z.string().optional();

const mapping = z.record(z.string(), z.unknown());

/** In the words of a config file, without its backends. */
const POOL = z.object({ v, pool: mapping });
const ROUTE = z.object({ v, order: z.number(), route: mapping });
/** `source`: `config` where a file had it, whose URL may hold references to the environment; `api` where an operator added it. */
const BACKEND = z.object({
  v,
  url: z.string(),
  weight: z.number().int(),
  backup: z.boolean(),
  source: z.enum(['config', 'api']),
  write,
});
const POOL_CONTROL = z.object({ v, strategy: z.enum(STRATEGY_NAMES), write });
const CONTROL = z.object({
  v,
  url: z.string(),
  weight: z.number().int().optional(),
  backup: z.boolean().optional(),
  state: z.enum(ADMIN_STATES).optional(),
  /** It is found, and an operator does not want it. */
  removed: z.literal(true).optional(),
  /** How it drains: at all instances alike. `since` is in ms since the epoch, by the clock of the instance that began it. */
  drain: z
    .object({
      ms: z.number(),
      sessions: z.enum(SESSIONS_WHILE_DRAINING),
      cut: z.boolean(),
      since: z.number(),
      instance: z.string(),
    })
    .optional(),
  /** It drains before it is removed, until then, in ms since the epoch. */
  leaves_at: z.number().optional(),
  /** Who wants it. */
  by: mapping.optional(),
  write,
});
const IDS = z.object({ v, next: z.number().int().nonnegative() });
const HEAD = z.object({ v, write: z.string(), instance: z.string() });

export type PoolObject = z.output<typeof POOL>;
export type RouteObject = z.output<typeof ROUTE>;
export type BackendObject = z.output<typeof BACKEND>;
export type ControlObject = z.output<typeof CONTROL>;

type Form =
  | { readonly kind: 'pool'; readonly pool: string; readonly object: PoolObject }
  | { readonly kind: 'route'; readonly id: string; readonly object: RouteObject }
  | {
      readonly kind: 'backend';
      readonly pool: string;
      readonly id: number;
      readonly object: BackendObject;
    }
  | {
      readonly kind: 'pool-control';
      readonly pool: string;
      readonly object: z.output<typeof POOL_CONTROL>;
    }
  | { readonly kind: 'control'; readonly pool: string; readonly object: ControlObject }
  | { readonly kind: 'ids'; readonly object: z.output<typeof IDS> }
  | { readonly kind: 'head'; readonly object: z.output<typeof HEAD> }
  /** Of no interest here: guards, secrets, what later versions have. */
  | { readonly kind: 'other' };

/** What an object is and says. It is the same one for the same object. */
export type Understood = Form & { readonly key: string; readonly revision: number };

const known = new WeakMap<StoredObject, Understood>();

/** @throws Error what is wrong with it */
export function understand(stored: StoredObject, keys: StoreKeys): Understood {
  const before = known.get(stored);
  if (before !== undefined) return before;
  const understood = { ...formOf(stored, keys), key: stored.key, revision: stored.revision };
  known.set(stored, understood);
  return understood;
}

function formOf({ key, value }: StoredObject, keys: StoreKeys): Form {
  if (key === keys.ids) return { kind: 'ids', object: parsed(IDS, value) };
  if (key === keys.head) return { kind: 'head', object: parsed(HEAD, value) };
  const [kind, first = '', second, ...more] = key.slice(keys.cfg.length).split('/');
  if (more.length > 0 || first === '') return { kind: 'other' };
  if (second === undefined) {
    if (kind === 'pools') return { kind: 'pool', pool: first, object: parsed(POOL, value) };
    if (kind === 'routes') return { kind: 'route', id: first, object: parsed(ROUTE, value) };
    if (kind === 'ctl') {
      return { kind: 'pool-control', pool: first, object: parsed(POOL_CONTROL, value) };
    }
    return { kind: 'other' };
  }
  if (kind === 'backends') {
    if (!/^\d{1,6}$/.test(second))
      throw new Error('its key must end with a number of up to 6 digits');
    const object = parsed(BACKEND, value);
    return { kind: 'backend', pool: first, id: Number(second), object };
  }
  if (kind === 'ctl') return { kind: 'control', pool: first, object: parsed(CONTROL, value) };
  return { kind: 'other' };
}

function parsed<T>(form: z.ZodType<T>, value: string): T {
  let data: unknown;
  try {
    data = JSON.parse(value);
  } catch {
    throw new Error('is not JSON');
  }
  const result = form.safeParse(data);
  if (result.success) return result.data;
  const [first] = result.error.issues;
  throw new Error(`${first?.path.join('.') ?? ''}: ${first?.message ?? 'is wrong'}`);
}

/** As it is written. */
export function valueOf(object: object): string {
  return JSON.stringify({ v: 1, ...object });
}

/** One text of an object, whatever kind it is. */
export function valueIn({ value }: StoredObject, field: string): string | undefined {
  try {
    const data: unknown = JSON.parse(value);
    const found = (data as Readonly<Record<string, unknown>> | null)?.[field];
    return typeof found === 'string' ? found : undefined;
  } catch {
    return undefined;
  }
}
