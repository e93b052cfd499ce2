/**
 * Writing a small file so that whoever reads it, also after a power cut, finds the old text or the new one.
 *
 * The rule is a temporary file in the same folder, synced, renamed over the old one, the folder synced. Where that can't
 * be (a file that is mounted by itself, a folder that is not ours), the file is written in place, and the new text first
 * to a copy beside it, if there may be one: one of the two is whole at any moment.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import {
  type FileHandle,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
} from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

/** Linux gives up after as many. */
const MOST_LINKS = 40;
/** The file is a mount of its own (rename(2): EBUSY of Linux, EXDEV of others), or the folder may not be written. */
const NOT_REPLACEABLE: ReadonlySet<string> = new Set([
  'EBUSY',
  'EXDEV',
  'EACCES',
  'EPERM',
  'EROFS',
]);
const GROUP_AND_OTHERS = 0o077;
/** As `replace` calls its files, behind the name of the one that they are for. */
const TEMPORARY = /^\.[0-9a-f]{8}\.tmp$/;

export interface InPlace {
  /** What the system said to replacing it. */
  readonly reason: string;
  /** Undefined: none can be kept. */
  readonly copy: string | undefined;
}

/** Not more than one write at a time. */
export class DurableFile {
  readonly #path: string;
  #inPlace: InPlace | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Set once the file could not be replaced. */
  get inPlace(): InPlace | undefined {
    return this.#inPlace;
  }

  /** Rejects with the system's error; the old text is still there then. */
  async write(text: string, mode: number): Promise<void> {
    // A link is written through, not replaced, also where its target is yet to come.
    const target = await resolveLinks(this.#path);
    if (this.#inPlace !== undefined)
      return this.#writeInPlace(target, text, mode, this.#inPlace.reason);
    try {
      await replace(target, target, text, mode);
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      if (!NOT_REPLACEABLE.has(code)) throw error;
      try {
        return await this.#writeInPlace(target, text, mode, message);
      } catch (inPlaceError) {
        // Nothing there to be overwritten: why it can't be made is what helps.
        throw hasCode(inPlaceError, 'ENOENT') ? error : inPlaceError;
      }
    }
    await rm(copyOf(target), { force: true }).catch(() => {});
  }

  async #writeInPlace(target: string, text: string, mode: number, reason: string): Promise<void> {
    const old = await readFile(target);
    const copy = copyOf(target);
    const hasCopy = await replace(target, copy, text, mode).then(
      () => true,
      () => false,
    );
    await withFile(await open(target, 'r+'), async (file) => {
      if ((mode & GROUP_AND_OTHERS) === 0) await file.chmod(mode).catch(() => {});
      await overwrite(file, Buffer.from(text)).catch(async (error: unknown) => {
        await overwrite(file, old);
        if (hasCopy) await rm(copy, { force: true });
        throw error;
      });
    });
    this.#inPlace = { reason, copy: hasCopy ? copy : undefined };
  }
}

/** Where a file is, behind whatever links lead there; it need not exist. Rejects where they lead round in a circle. */
export async function resolveLinks(path: string): Promise<string> {
  let at = path;
  for (let links = 0; links < MOST_LINKS; links++) {
    try {
      return await realpath(at);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
    const next = await readlink(at).catch((error: unknown) => {
      if (hasCode(error, 'ENOENT') || hasCode(error, 'EINVAL')) return undefined;
      throw error;
    });
    if (next === undefined) return at;
    at = resolve(await realpath(dirname(at)), next);
  }
  throw new Error(`${path}: too many links`);
}

/**
 * Removes what processes have left beside the file that ended while they wrote it. Nobody may write to it meanwhile. Never rejects:
 * they are in nobody's way.
 */
export async function removeUnfinished(path: string): Promise<void> {
  try {
    const target = await resolveLinks(path);
    const folder = dirname(target);
    const ours = `.${basename(target)}`;
    const isOurs = (name: string): boolean =>
      name.startsWith(ours) && TEMPORARY.test(name.slice(ours.length));
    const left = (await readdir(folder)).filter(isOurs);
    await Promise.all(left.map((name) => rm(join(folder, name), { force: true })));
  } catch {
    // The folder is not ours, or not there.
  }
}

/** What was meant to be written last to a file that is written in place. */
export function copyOf(target: string): string {
  return `${target}.copy`;
}

/** @param target whose folder and name the temporary file has. */
async function replace(target: string, path: string, text: string, mode: number): Promise<void> {
  const folder = dirname(target);
  const temporary = join(folder, `.${basename(target)}.${randomBytes(4).toString('hex')}.tmp`);
  try {
    await withFile(await open(temporary, 'wx', mode), async (file) => {
      await file.writeFile(text);
      await file.sync();
    });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
  await withFile(await open(folder, constants.O_RDONLY), (handle) => handle.sync());
}

/** Cut only once all is written: a full disk still takes as many bytes as were there. */
async function overwrite(file: FileHandle, bytes: Buffer): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, written);
    written += bytesWritten;
  }
  await file.truncate(bytes.length);
  await file.sync();
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
