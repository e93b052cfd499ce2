/**
 * The text of the state file.
 *
 * What can't be understood of it is left out and said, piece by piece: one bad entry must not take the others along, or a
 * backend that somebody disabled would be enabled again.
 */
import { z } from 'zod';
import { parseBackendUrl } from '../config/backend-url.ts';
import { MAX_WEIGHT } from '../config/settings.ts';
import { STRATEGY_NAMES } from '../snapshot/snapshot.ts';
import {
  ADMIN_STATES,
  NO_OPERATOR_STATE,
  type OperatorEntry,
  type OperatorState,
} from './operator-state.ts';

const VERSION = 1;

const entrySchema = z.strictObject({
  url: z.string(),
  id: z.int().min(0).optional(),
  weight: z.int().min(0).max(MAX_WEIGHT).optional(),
  /** Of an added backend: left out where it is none. */
  backup: z.boolean().optional(),
  state: z.enum(ADMIN_STATES).optional(),
  leaving: z.literal(true).optional(),
});
/** It exists only because it is written here: half of it would be a backend that nobody asked for. */
const addedSchema = entrySchema.required({ weight: true });
const configuredSchema = entrySchema.extend({ removed: z.literal(true).optional() });

/** The file as a whole; what is in its lists is looked at one by one. */
const fileSchema = z.strictObject({
  version: z.literal(VERSION),
  next_id: z.int().min(0).optional(),
  strategy: z.enum(STRATEGY_NAMES).optional(),
  /** Keeps session cookies good over a restart, where the config names no secret. */
  session_secret: z.string().min(1).optional(),
  /** Backends that exist because they were added through the API. */
  added: z.array(z.unknown()).optional(),
  /** Backends of the config: their ids, and what was changed about them. */
  configured: z.array(z.unknown()).optional(),
});

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

export function encodeState(state: OperatorState): string {
  const added: AddedEntry[] = [];
  const configured: ConfiguredEntry[] = [];
  for (const entry of state.entries.values()) {
    const { url, id, weight, isBackup, state: adminState } = entry;
    const common = {
      ...(adminState !== undefined && { state: adminState }),
      ...(entry.isLeaving && { leaving: true as const }),
    };
    if (entry.source === 'api' && id !== undefined && weight !== undefined) {
      added.push({ url, id, weight, ...(isBackup === true && { backup: true }), ...common });
    } else {
      configured.push({
        url,
        ...(id !== undefined && { id }),
        ...(weight !== undefined && { weight }),
        ...(isBackup !== undefined && { backup: isBackup }),
        ...common,
        ...(entry.isRemoved && { removed: true as const }),
      });
    }
  }
  const content: z.infer<typeof fileSchema> = {
    version: VERSION,
    next_id: state.nextId,
    ...(state.strategy !== undefined && { strategy: state.strategy }),
    ...(state.sessionSecret !== undefined && { session_secret: state.sessionSecret }),
    added,
    configured,
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** Never throws. Only what is no JSON object of this version is damaged as a whole; nothing at all is no change. */
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
  const content = understand(fileSchema, json, '', faults);
  if (content === undefined) return { kind: 'damaged', reason: faults.join('; ') };
  const entries = new EntryReader(content.next_id, faults);
  for (const [index, raw] of (content.added ?? []).entries()) {
    const result = addedSchema.safeParse(raw);
    if (result.success) entries.add(result.data, true);
    else faults.push(...describeIssues(result.error, `added.${index}`));
  }
  for (const [index, raw] of (content.configured ?? []).entries()) {
    const entry = understand(configuredSchema, raw, `configured.${index}`, faults);
    if (entry !== undefined) entries.add(entry, false);
  }
  return {
    kind: 'read',
    state: {
      ...entries.finish(),
      strategy: content.strategy,
      sessionSecret: content.session_secret,
    },
    faults,
  };
}

/** Puts the entries together. A URL counts once; an id that is not an entry's own is replaced by a new one. */
class EntryReader {
  readonly #entries = new Map<string, OperatorEntry>();
  readonly #ids = new Set<number>();
  readonly #nextId: number | undefined;
  readonly #faults: string[];

  constructor(nextId: number | undefined, faults: string[]) {
    this.#nextId = nextId;
    this.#faults = faults;
  }

  add(stored: AddedEntry | ConfiguredEntry, isAdded: boolean): void {
    const { url } = stored;
    const parsed = parseBackendUrl(url);
    if (!parsed.ok || parsed.address.url !== url) {
      this.#faults.push(`${JSON.stringify(url)} is not a normalised URL`);
      return;
    }
    if (this.#entries.has(url)) {
      this.#faults.push(`${url} stands there twice`);
      return;
    }
    this.#entries.set(url, {
      url,
      id: this.#ownId(stored),
      source: isAdded ? 'api' : 'config',
      address: isAdded ? parsed.address : undefined,
      weight: stored.weight,
      isBackup: stored.backup ?? (isAdded ? false : undefined),
      state: stored.state,
      isRemoved: 'removed' in stored && stored.removed === true,
      isLeaving: stored.leaving === true,
    });
  }

  /** Backends of the config get the ids that they lack when the state is fitted to it; added ones get theirs here. */
  finish(): Pick<OperatorState, 'nextId' | 'entries'> {
    let nextId = this.#nextId ?? Math.max(-1, ...this.#ids) + 1;
    for (const entry of this.#entries.values()) {
      if (entry.source === 'api' && entry.id === undefined) {
        this.#entries.set(entry.url, { ...entry, id: nextId++ });
      }
    }
    return { nextId, entries: this.#entries };
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
