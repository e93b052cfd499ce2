/**
 * The text of the state file.
 *
 * What can't be understood of it is left out and said, piece by piece: one bad entry must not take the others along, or a
 * backend that somebody disabled would be enabled again.
 */
import { z } from 'zod';
import { DEFAULT_POOL, MAX_WEIGHT } from '../../config/settings.ts';
import { parseBackendUrl } from '../../config/values/backend-url.ts';
import { STRATEGY_NAMES } from '../../snapshot/snapshot.ts';
import { ADMIN_STATES } from '../operator-words.ts';
import {
  NO_OPERATOR_STATE,
  type OperatorEntry,
  type OperatorState,
  type PoolChanges,
} from './operator-state.ts';

/** Of version 1 there are files about: it knew one pool, whose keys stood beside those of the file. */
const VERSION = 2;

const entrySchema = z.strictObject({
  url: z.string(),
  id: z.int().min(0).optional(),
  weight: z.int().min(0).max(MAX_WEIGHT).optional(),
  /** Of an added backend: left out where it is none. */
  backup: z.boolean().optional(),
  state: z.enum(ADMIN_STATES).optional(),
  leaving: z.literal(true).optional(),
  /** Of one that is removed or leaving: it was found then, and not listed. */
  found: z.literal(true).optional(),
});
/** It exists only because it is written here: half of it would be a backend that nobody asked for. */
const addedSchema = entrySchema.required({ weight: true });
const configuredSchema = entrySchema.extend({ removed: z.literal(true).optional() });

const poolKeys = {
  strategy: z.enum(STRATEGY_NAMES).optional(),
  /** Backends that exist because they were added through the API. */
  added: z.array(z.unknown()).optional(),
  /** Backends of the config: their ids, and what was changed about them. */
  configured: z.array(z.unknown()).optional(),
};
const poolSchema = z.strictObject(poolKeys);

const fileKeys = {
  next_id: z.int().min(0).optional(),
  /** Keeps session cookies good over a restart, where the config names no secret. */
  session_secret: z.string().min(1).optional(),
};
/** The file as a whole; what is in it is looked at piece by piece. */
const fileSchema = z.strictObject({
  version: z.literal(VERSION),
  ...fileKeys,
  /** By name. */
  pools: z.record(z.string(), z.unknown()).optional(),
});
const firstFileSchema = z.strictObject({ version: z.literal(1), ...fileKeys, ...poolKeys });

type StoredPool = z.infer<typeof poolSchema>;
type AddedEntry = z.infer<typeof addedSchema>;
type ConfiguredEntry = z.infer<typeof configuredSchema>;

export type DecodedState =
  | {
      readonly kind: 'read';
      readonly state: OperatorState;
      /** Each part that was left out, and why. */
      readonly faults: readonly string[];
    }
  | { readonly kind: 'damaged'; readonly reason: string };

export function encodeState({ nextId, sessionSecret, pools }: OperatorState): string {
  const content: z.infer<typeof fileSchema> = {
    version: VERSION,
    next_id: nextId,
    ...(sessionSecret !== undefined && { session_secret: sessionSecret }),
    pools: Object.fromEntries(Array.from(pools, ([name, changes]) => [name, storedPool(changes)])),
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

function storedPool({ strategy, entries }: PoolChanges): StoredPool {
  const added: AddedEntry[] = [];
  const configured: ConfiguredEntry[] = [];
  for (const entry of entries.values()) {
    const { url, id, weight, isBackup, state: adminState } = entry;
    const ownId = id === undefined ? {} : { id };
    const common = {
      ...(adminState !== undefined && { state: adminState }),
      ...(entry.isLeaving && { leaving: true as const }),
      ...(entry.wasFound && { found: true as const }),
    };
    if (entry.source === 'api' && weight !== undefined) {
      added.push({ url, ...ownId, weight, ...(isBackup === true && { backup: true }), ...common });
    } else {
      configured.push({
        url,
        ...ownId,
        ...(weight !== undefined && { weight }),
        ...(isBackup !== undefined && { backup: isBackup }),
        ...common,
        ...(entry.isRemoved && { removed: true as const }),
      });
    }
  }
  return { ...(strategy !== undefined && { strategy }), added, configured };
}

/** Never throws. Only what is no JSON object of a version that is known is damaged as a whole; nothing at all is no change. */
export function decodeState(text: string): DecodedState {
  if (text.trim() === '') return { kind: 'read', state: NO_OPERATOR_STATE, faults: [] };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { kind: 'damaged', reason: `not JSON: ${reason}` };
  }
  const faults: string[] = [];
  const content = isOfFirstVersion(json)
    ? understand(firstFileSchema, json, '', faults)
    : understand(fileSchema, json, '', faults);
  if (content === undefined) return { kind: 'damaged', reason: faults.join('; ') };
  const reader = new StateReader(content.next_id, faults);
  if (content.version === VERSION) {
    for (const [name, raw] of Object.entries(content.pools ?? {})) {
      const pool = understand(poolSchema, raw, `pools.${name}`, faults);
      if (pool !== undefined) reader.addPool(name, pool, `pools.${name}.`);
    }
  } else {
    reader.addPool(DEFAULT_POOL, content, '');
  }
  return { kind: 'read', state: reader.finish(content.session_secret), faults };
}

function isOfFirstVersion(json: unknown): boolean {
  return typeof json === 'object' && json !== null && 'version' in json && json.version === 1;
}

/** Puts the pools together. A URL counts once in each; an id that is not an entry's own is replaced by a new one. */
class StateReader {
  readonly #pools = new Map<string, PoolChanges>();
  readonly #ids = new Set<number>();
  readonly #nextId: number | undefined;
  readonly #faults: string[];

  constructor(nextId: number | undefined, faults: string[]) {
    this.#nextId = nextId;
    this.#faults = faults;
  }

  /** @param at where its keys stand in the file. */
  addPool(name: string, { strategy, added = [], configured = [] }: StoredPool, at: string): void {
    const entries = new Map<string, OperatorEntry>();
    for (const [index, raw] of added.entries()) {
      const result = addedSchema.safeParse(raw);
      if (result.success) this.#add(entries, result.data, true);
      else this.#faults.push(...describeIssues(result.error, `${at}added.${index}`));
    }
    for (const [index, raw] of configured.entries()) {
      const entry = understand(configuredSchema, raw, `${at}configured.${index}`, this.#faults);
      if (entry !== undefined) this.#add(entries, entry, false);
    }
    this.#pools.set(name, { strategy, entries });
  }

  #add(
    entries: Map<string, OperatorEntry>,
    stored: AddedEntry | ConfiguredEntry,
    isAdded: boolean,
  ): void {
    const { url } = stored;
    const parsed = parseBackendUrl(url);
    if (!parsed.ok || parsed.address.url !== url) {
      this.#faults.push(`${JSON.stringify(url)} is not a normalised URL`);
      return;
    }
    if (entries.has(url)) {
      this.#faults.push(`${url} stands there twice`);
      return;
    }
    entries.set(url, {
      url,
      id: this.#ownId(stored),
      source: isAdded ? 'api' : 'config',
      address: isAdded ? parsed.address : undefined,
      weight: stored.weight,
      isBackup: stored.backup ?? (isAdded ? false : undefined),
      state: stored.state,
      isRemoved: 'removed' in stored && stored.removed === true,
      isLeaving: stored.leaving === true,
      wasFound: stored.found === true,
    });
  }

  /** Backends of the config get the ids that they lack when the state is fitted to it; added ones get theirs here. */
  finish(sessionSecret: string | undefined): OperatorState {
    let nextId = this.#nextId ?? Math.max(-1, ...this.#ids) + 1;
    const pools = new Map<string, PoolChanges>();
    for (const [name, { strategy, entries }] of this.#pools) {
      const whole = new Map<string, OperatorEntry>();
      for (const entry of entries.values()) {
        const lacksId = entry.source === 'api' && entry.id === undefined;
        whole.set(entry.url, lacksId ? { ...entry, id: nextId++ } : entry);
      }
      pools.set(name, { strategy, entries: whole });
    }
    return { nextId, pools, sessionSecret, otherSecrets: [] };
  }

  #ownId({ url, id }: AddedEntry | ConfiguredEntry): number | undefined {
    if (id === undefined) return undefined;
    if (this.#ids.has(id) || (this.#nextId !== undefined && id >= this.#nextId)) {
      this.#faults.push(`the id ${id} of ${url} is not its own`);
      return undefined;
    }
    this.#ids.add(id);
    return id;
  }
}

/** What is good of an object, without the keys that are not; undefined where nothing is left that makes sense. */
function understand<T>(
  schema: z.ZodType<T>,
  raw: unknown,
  at: string,
  faults: string[],
): T | undefined {
  const whole = schema.safeParse(raw);
  if (whole.success) return whole.data;
  faults.push(...describeIssues(whole.error, at));
  if (typeof raw !== 'object' || raw === null) return undefined;
  const bad = new Set(whole.error.issues.flatMap(keysOf));
  const rest = Object.fromEntries(Object.entries(raw).filter(([key]) => !bad.has(key)));
  return schema.safeParse(rest).data;
}

function keysOf(issue: z.core.$ZodIssue): string[] {
  return issue.code === 'unrecognized_keys' ? issue.keys : issue.path.slice(0, 1).map(String);
}

function describeIssues(error: z.ZodError, at: string): string[] {
  return error.issues.map(({ path, message }) => {
    const place = [...(at === '' ? [] : [at]), ...path].join('.');
    return place === '' ? message : `${place}: ${message}`;
  });
}
