/**
 * Keeps the changes of operators on disk, so that they outlive a restart.
 *
 * A write is atomic: a temporary file in the same folder, synced, renamed over the old one, the folder synced. Whoever
 * reads sees the old state or the new one, also after a power cut. What can't be understood is set aside, never
 * overwritten.
 */
import { constants } from 'node:fs';
import {
  copyFile,
  type FileHandle,
  open,
  readFile,
  realpath,
  rename,
  rm,
  stat,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { countChanges, type OperatorState } from './operator-state.ts';
import { type DecodedState, decodeState, encodeState } from './state-format.ts';

/** As the process's umask allows. */
const READABLE = 0o666;
/** A file with a secret in it. */
const OWNER_ONLY = 0o600;

export type StateFileResult = { readonly kind: 'absent' } | DecodedState;

/** Reads and checks; changes nothing on disk and never throws. */
export async function readStateFile(path: string): Promise<StateFileResult> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return { kind: 'absent' };
    return { kind: 'damaged', reason: messageOf(error) };
  }
  return decodeState(text);
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
  const aside = asidePath(path, at);
  await rename(path, aside);
  return aside;
}

/** Keeps all of a file that is understood in part; answers the path of the copy. Rejects when none can be made. */
export async function copyStateFile(path: string, at: Date): Promise<string> {
  const aside = asidePath(path, at);
  await copyFile(path, aside, constants.COPYFILE_EXCL);
  return aside;
}

function asidePath(path: string, at: Date): string {
  return `${path}.damaged-${at.toISOString().replaceAll(':', '-')}`;
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
    const write = this.#last.then(() => writeAtomically(path, encodeState(state), mode));
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

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
