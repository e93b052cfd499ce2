/**
 * Keeps the changes of operators on disk, so that they outlive a restart.
 *
 * A write is atomic: a temporary file in the same folder, synced, renamed over the old one, the folder synced. Whoever
 * reads sees the old state or the new one, also after a power cut. A file that can't be understood is set aside, never
 * overwritten.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { parseBackendUrl } from '../config/backend-url.ts';
import { MAX_WEIGHT } from '../config/settings.ts';
import { STRATEGY_NAMES } from '../snapshot/snapshot.ts';
import {
  ADMIN_STATES,
  countChanges,
  type OperatorEntry,
  type OperatorState,
} from './operator-state.ts';

const VERSION = 1;

/** As the process's umask allows. */
const READABLE = 0o666;
/** A file with a secret in it. */
const OWNER_ONLY = 0o600;

const entrySchema = z.strictObject({
  url: z.string(),
  id: z.int().min(0).optional(),
  weight: z.int().min(0).max(MAX_WEIGHT).optional(),
  /** Of an added backend: left out where it is none. */
  backup: z.boolean().optional(),
  state: z.enum(ADMIN_STATES).optional(),
  leaving: z.literal(true).optional(),
});

const fileSchema = z.strictObject({
  version: z.literal(VERSION),
  next_id: z.int().min(0),
  strategy: z.enum(STRATEGY_NAMES).optional(),
  /** Keeps session cookies good over a restart, where the config names no secret. */
  session_secret: z.string().min(1).optional(),
  /** Backends that exist because they were added through the API. */
  added: z.array(entrySchema.required({ id: true, weight: true })),
  /** Backends of the config: their ids, and what was changed about them. */
  configured: z.array(entrySchema.extend({ removed: z.literal(true).optional() })),
});

type FileContent = z.infer<typeof fileSchema>;

export type StateFileResult =
  | { readonly kind: 'absent' }
  | { readonly kind: 'read'; readonly state: OperatorState }
  | { readonly kind: 'damaged'; readonly reason: string };

/** Reads and checks; changes nothing on disk and never throws. */
export async function readStateFile(path: string): Promise<StateFileResult> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return { kind: 'absent' };
    return { kind: 'damaged', reason: messageOf(error) };
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return { kind: 'damaged', reason: `not JSON: ${messageOf(error)}` };
  }
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return { kind: 'damaged', reason: `${issue?.path.join('.')}: ${issue?.message}` };
  }
  return decode(parsed.data);
}

/**
 * Drops all changes of operators; true when there were any to drop. The secret that signs session cookies is no change, and
 * stays.
 */
export async function clearStateFile(path: string): Promise<boolean> {
  const result = await readStateFile(path);
  if (result.kind === 'read' && result.state.sessionSecret !== undefined) {
    const { sessionSecret } = result.state;
    const cleared = { nextId: 0, strategy: undefined, entries: new Map(), sessionSecret };
    await new StateStore(path).save(cleared);
    return countChanges(result.state) > 0;
  }
  try {
    await rm(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/** Moves a file that can't be understood out of the way; answers its new path. Rejects when it can't be moved. */
export async function setAsideStateFile(path: string, at: Date): Promise<string> {
  // What is in a folder is not ours, whatever the config says.
  if ((await stat(path)).isDirectory()) throw new Error(`${path} is a folder`);
  const aside = `${path}.damaged-${at.toISOString().replaceAll(':', '-')}`;
  await rename(path, aside);
  return aside;
}

/** Writes one state at a time; the last one asked for is the last one written. */
export class StateStore {
  readonly #path: string | undefined;
  #last: Promise<void> = Promise.resolve();

  /** Without a path nothing is kept. */
  constructor(path: string | undefined) {
    this.#path = path;
  }

  /** Resolves when the state is safe on disk. Rejects with the system's error; the old file is still there then. */
  save(state: OperatorState): Promise<void> {
    const path = this.#path;
    if (path === undefined) return Promise.resolve();
    const mode = state.sessionSecret === undefined ? READABLE : OWNER_ONLY;
    const write = this.#last.then(() => writeAtomically(path, encode(state), mode));
    this.#last = write.catch(() => {});
    return write;
  }

  /** Resolves when every write that was asked for has ended. */
  async flush(): Promise<void> {
    await this.#last;
  }
}

async function writeAtomically(path: string, text: string, mode: number): Promise<void> {
  // A link is written through, not replaced.
  const target = await realpath(path).catch(() => path);
  const folder = dirname(target);
  const temporary = join(folder, `.${basename(target)}.tmp`);
  try {
    // One that a crash left behind would keep its own mode.
    await rm(temporary, { force: true });
    await withFile(await open(temporary, 'w', mode), async (file) => {
      await file.writeFile(text);
      await file.sync();
    });
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
  await withFile(await open(folder, constants.O_RDONLY), (handle) => handle.sync());
}

async function withFile(file: FileHandle, use: (file: FileHandle) => Promise<void>): Promise<void> {
  try {
    await use(file);
  } finally {
    await file.close();
  }
}

function encode(state: OperatorState): string {
  const added: FileContent['added'] = [];
  const configured: FileContent['configured'] = [];
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
  const content: FileContent = {
    version: VERSION,
    next_id: state.nextId,
    ...(state.strategy !== undefined && { strategy: state.strategy }),
    ...(state.sessionSecret !== undefined && { session_secret: state.sessionSecret }),
    added,
    configured,
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

function decode(content: FileContent): StateFileResult {
  const entries = new Map<string, OperatorEntry>();
  const ids = new Set<number>();
  for (const { stored, isAdded } of [
    ...content.added.map((entry) => ({ stored: entry, isAdded: true })),
    ...content.configured.map((entry) => ({ stored: entry, isAdded: false })),
  ]) {
    const { url, id } = stored;
    const parsed = parseBackendUrl(url);
    if (!parsed.ok || parsed.address.url !== url) {
      return { kind: 'damaged', reason: `${JSON.stringify(url)} is not a normalised URL` };
    }
    if (entries.has(url)) return { kind: 'damaged', reason: `${url} stands there twice` };
    if (id !== undefined && (id >= content.next_id || ids.has(id))) {
      return { kind: 'damaged', reason: `the id ${id} of ${url} is not its own` };
    }
    if (id !== undefined) ids.add(id);
    entries.set(url, {
      url,
      id,
      source: isAdded ? 'api' : 'config',
      address: isAdded ? parsed.address : undefined,
      weight: stored.weight,
      isBackup: stored.backup ?? (isAdded ? false : undefined),
      state: stored.state,
      isRemoved: 'removed' in stored && stored.removed === true,
      isLeaving: stored.leaving === true,
    });
  }
  return {
    kind: 'read',
    state: {
      nextId: content.next_id,
      strategy: content.strategy,
      entries,
      sessionSecret: content.session_secret,
    },
  };
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
