/**
 * Tells when files have changed, whichever way that is done: written in place, replaced by a rename, or by a symbolic link that
 * leads elsewhere now, as certbot (of a file) and Kubernetes (of a folder, `..data`) do it.
 *
 * Folders are watched, not files: a watch of a file follows the old one when another takes its name. What an event says is not
 * relied upon; it only makes us look. What is found is compared with what was there before, so that a write of the same folder's
 * other files tells nobody anything. Where there are no events (network file systems, no watches left), a look every few seconds
 * finds the change.
 */
import { type FSWatcher, watch } from 'node:fs';
import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import path from 'node:path';

/** Who writes two files that belong together is given so long to write the second. */
const QUIET_MS = 50;
/** Where it is never quiet for so long. */
const LATEST_MS = 250;
const POLL_MS = 5_000;
/** Links that lead to links. */
const MAX_HOPS = 16;
/** Of folders in a folder. */
const MAX_DEPTH = 1;

export interface FileWatchOptions {
  /** They are other files than at the last call, or than when the watch began. */
  readonly onChange: () => void;
  readonly pollMs?: number;
}

export class FileWatch {
  readonly #onChange: () => void;
  readonly #poll: NodeJS.Timeout;
  #paths: readonly string[] = [];
  readonly #folders = new Map<string, FSWatcher>();
  /** What is known of the files, once they were looked at. */
  #known: string | null = null;
  #quiet: NodeJS.Timeout | null = null;
  #latest: NodeJS.Timeout | null = null;
  /** The looks run one after the other. */
  #looking: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor({ onChange, pollMs = POLL_MS }: FileWatchOptions) {
    this.#onChange = onChange;
    this.#poll = setInterval(() => this.#look(), pollMs);
    this.#poll.unref();
  }

  /**
   * Watches these from now on, and no others: files, or folders for the files in them; absolute. They need not exist. What
   * happens to the ones that were watched before is told as well, also if it happened meanwhile.
   * @returns whether they are others than before: then what was read of them may be out of date by the first look.
   */
  setPaths(paths: Iterable<string>): boolean {
    const wanted = [...new Set(paths)].toSorted();
    if (wanted.join('\n') === this.#paths.join('\n')) return false;
    this.#paths = wanted;
    this.#known = null;
    this.#look();
    return true;
  }

  /** Resolves when all that has happened until now has been looked at. */
  async settled(): Promise<void> {
    this.#look();
    await this.#looking;
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#poll);
    this.#clearTimers();
    for (const watcher of this.#folders.values()) watcher.close();
    this.#folders.clear();
  }

  #onEvent(): void {
    if (this.#isClosed) return;
    if (this.#quiet !== null) clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#look(), QUIET_MS);
    this.#latest ??= setTimeout(() => this.#look(), LATEST_MS);
  }

  #clearTimers(): void {
    if (this.#quiet !== null) clearTimeout(this.#quiet);
    if (this.#latest !== null) clearTimeout(this.#latest);
    this.#quiet = null;
    this.#latest = null;
  }

  #look(): void {
    this.#clearTimers();
    this.#looking = this.#looking.then(() => this.#lookNow());
  }

  async #lookNow(): Promise<void> {
    if (this.#isClosed) return;
    const paths = this.#paths;
    const look: Look = { folders: new Set(), links: new Map() };
    const found: string[] = [];
    for (const one of paths) found.push(await describe(one, look));
    if (this.#isClosed || paths !== this.#paths) return;
    this.#watchFolders(look.folders);
    const now = found.join('\n');
    const isOther = this.#known !== null && this.#known !== now;
    this.#known = now;
    if (isOther) this.#onChange();
  }

  #watchFolders(folders: ReadonlySet<string>): void {
    for (const [folder, watcher] of this.#folders) {
      if (folders.has(folder)) continue;
      watcher.close();
      this.#folders.delete(folder);
    }
    let isNew = false;
    for (const folder of folders) {
      if (this.#folders.has(folder)) continue;
      try {
        const watcher = watch(folder, { persistent: false }, (event, name) => {
          // Where the folder itself has gone, the watch is of no use any more.
          if (event === 'rename' && name === path.basename(folder)) this.#unwatch(folder, watcher);
          this.#onEvent();
        });
        watcher.on('error', () => this.#unwatch(folder, watcher));
        this.#folders.set(folder, watcher);
        isNew = true;
      } catch {
        // It is not there, or there are no watches left: the look every few seconds remains.
      }
    }
    // What happened between the look and the watch.
    if (isNew) this.#onEvent();
  }

  #unwatch(folder: string, watcher: FSWatcher): void {
    watcher.close();
    if (this.#folders.get(folder) === watcher) this.#folders.delete(folder);
  }
}

interface Look {
  /** Those in which a change would make the files others. */
  readonly folders: Set<string>;
  /** What is known of parts of paths: all files in a folder have the way to it in common. */
  readonly links: Map<string, string | null>;
}

/**
 * What distinguishes a file from the one that was there before; of a folder, all its files and those of the folders in it.
 */
async function describe(file: string, look: Look, depth = 0): Promise<string> {
  await followLinks(file, look);
  const [facts, isFolder] = await factsOf(file);
  if (!isFolder || depth > MAX_DEPTH) return `${file} ${facts}`;
  look.folders.add(file);
  const names = await readdir(file).catch(() => []);
  const entries: string[] = [];
  for (const name of names.toSorted()) {
    entries.push(await describe(path.join(file, name), look, depth + 1));
  }
  return `${file} (${entries.join(', ')})`;
}

/** With the folder's own times left out: any file in it changes those. */
async function factsOf(file: string): Promise<readonly [string, boolean]> {
  try {
    const stats = await stat(file, { bigint: true });
    if (stats.isDirectory()) return ['folder', true];
    const { dev, ino, size, mtimeNs, ctimeNs } = stats;
    return [`${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`, false];
  } catch {
    return ['none', false];
  }
}

/** Each part of the path may be a link, and each link may be made to lead elsewhere. */
async function followLinks(file: string, { folders, links }: Look): Promise<void> {
  const { root } = path.parse(file);
  let left = path.relative(root, file).split(path.sep);
  let at = root;
  let hops = 0;
  folders.add(path.dirname(file));
  while (left.length > 0) {
    const [name = '', ...others] = left;
    const next = path.join(at, name);
    const known = links.get(next);
    const target = known === undefined ? await linkOf(next) : known;
    links.set(next, target);
    if (target === null || hops++ >= MAX_HOPS) {
      at = next;
      left = others;
      continue;
    }
    folders.add(at);
    const whole = path.resolve(at, target);
    at = path.parse(whole).root;
    left = [...path.relative(at, whole).split(path.sep), ...others].filter((part) => part !== '');
  }
  folders.add(path.dirname(at));
}

async function linkOf(file: string): Promise<string | null> {
  try {
    return (await lstat(file)).isSymbolicLink() ? await readlink(file) : null;
  } catch {
    return null;
  }
}
