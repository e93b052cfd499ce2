/**
 * Keeps the changes of operators on disk, so that they outlive a restart. What can't be understood is set aside, never
 * overwritten.
 */
import { constants } from 'node:fs';
import { copyFile, readFile, rename, rm, stat } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { copyOf, DurableFile, type InPlace, resolveLinks } from '../durable-file.ts';
import { countChanges, NO_OPERATOR_STATE, type OperatorState } from './operator-state.ts';
import { type DecodedState, decodeState, encodeState } from './state-format.ts';

/** As the process's umask allows. */
const READABLE = 0o666;
/** A file with a secret in it. */
const OWNER_ONLY = 0o600;

type Damaged = Extract<DecodedState, { readonly kind: 'damaged' }>;
type Read = Extract<DecodedState, { readonly kind: 'read' }>;

export type StateFileResult =
  | { readonly kind: 'absent' }
  /** What it says nobody knows: it may be as good as ever. */
  | { readonly kind: 'unreadable'; readonly reason: string }
  | Damaged
  | (Read & {
      /** The file itself is damaged: this is what its copy says. */
      readonly copy?: { readonly path: string; readonly reason: string };
    });

/** Reads and checks; changes nothing on disk and never throws. */
export async function readStateFile(path: string): Promise<StateFileResult> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return { kind: 'absent' };
    return { kind: 'unreadable', reason: messageOf(error) };
  }
  const result = decodeState(text);
  return result.kind === 'read' ? result : readCopy(path, result);
}

/** A write in place that was cut short leaves the file torn, and its copy whole. */
async function readCopy(path: string, damaged: Damaged): Promise<StateFileResult> {
  try {
    const copy = copyOf(await resolveLinks(path));
    const result = decodeState(await readFile(copy, 'utf8'));
    if (result.kind === 'damaged') return damaged;
    return { ...result, copy: { path: copy, reason: damaged.reason } };
  } catch {
    return damaged;
  }
}

/**
 * Drops all changes of operators; true when there were any to drop. The secret that signs session cookies is no change, and
 * stays.
 */
export async function clearStateFile(path: string): Promise<boolean> {
  const result = await readStateFile(path);
  if (result.kind === 'absent') return false;
  if (result.kind === 'unreadable') throw new Error(result.reason);
  if (result.kind === 'read' && result.state.sessionSecret !== undefined) {
    const { sessionSecret } = result.state;
    await new StateStore(path).save({ ...NO_OPERATOR_STATE, sessionSecret });
    return countChanges(result.state) > 0;
  }
  const target = await resolveLinks(path);
  await rm(copyOf(target), { force: true });
  try {
    await rm(target);
  } catch (error) {
    // One that is mounted by itself, or in a folder that is not ours, can't go; but it can say nothing.
    if (hasCode(error, 'EISDIR') || hasCode(error, 'ERR_FS_EISDIR')) throw error;
    await new StateStore(path).save(NO_OPERATOR_STATE);
  }
  return true;
}

/**
 * Moves a file that can't be understood out of the way, or copies it where it can't go; answers the new path. Rejects
 * when neither can be.
 */
export async function setAsideStateFile(path: string, at: Date): Promise<string> {
  // What is in a folder is not ours, whatever the config says.
  if ((await stat(path)).isDirectory()) throw new Error(`${path} is a folder`);
  const target = await resolveLinks(path);
  const aside = asidePath(target, at);
  try {
    await rename(target, aside);
  } catch {
    return copyStateFile(path, at);
  }
  return aside;
}

/** Keeps all of a file that is understood in part; answers the path of the copy. Rejects when none can be made. */
export async function copyStateFile(path: string, at: Date): Promise<string> {
  const target = await resolveLinks(path);
  const aside = asidePath(target, at);
  await copyFile(target, aside, constants.COPYFILE_EXCL);
  return aside;
}

function asidePath(path: string, at: Date): string {
  return `${path}.damaged-${at.toISOString().replaceAll(':', '-')}`;
}

/** Writes one state at a time; the last one asked for is the last one written. */
export class StateStore {
  /** False: there is a file, and it may not be written. What is changed is not kept then. */
  isOurs: boolean;
  /** What the file says, as far as is known; undefined: there is none, or none that was understood. */
  onDisk: OperatorState | undefined;
  #file: DurableFile | undefined;
  #last: Promise<void> = Promise.resolve();

  /** Without a path nothing is kept, nor expected to be. */
  constructor(path: string | undefined, isOurs = true) {
    this.isOurs = isOurs;
    this.#file = path === undefined || !isOurs ? undefined : new DurableFile(path);
  }

  /** Set once the file could not be replaced. */
  get inPlace(): InPlace | undefined {
    return this.#file?.inPlace;
  }

  /** The file does not say what is to be kept. None is missed where there is nothing that it could say. */
  isBehind(state: OperatorState): boolean {
    if (this.#file === undefined || state === this.onDisk) return false;
    return this.onDisk === undefined
      ? countChanges(state) > 0
      : !isDeepStrictEqual(state, this.onDisk);
  }

  /** Resolves when the state is safe on disk. Rejects with the system's error; the old file is still there then. */
  save(state: OperatorState): Promise<void> {
    const file = this.#file;
    if (file === undefined) return Promise.resolve();
    const write = this.#last.then(() => this.#write(file, state));
    this.#last = write.catch(() => {});
    return write;
  }

  async #write(file: DurableFile, state: OperatorState): Promise<void> {
    const mode = state.sessionSecret === undefined ? READABLE : OWNER_ONLY;
    await file.write(encodeState(state), mode);
    this.onDisk = state;
  }

  /** It is another process's from now on. */
  giveUp(): void {
    this.isOurs = this.#file === undefined && this.isOurs;
    this.#file = undefined;
  }

  /** Resolves when every write that was asked for has ended. */
  async flush(): Promise<void> {
    await this.#last;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
