/**
 * The last good list of each source, beside the state file and for the process that takes over: whoever starts while a source is away
 * has those backends in place of none.
 *
 * Each list stands there with a hash of where it was asked for, so that what one source has said is never used for another. What is
 * wrong with a file costs the lists in it, and keeps nothing from starting.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { DiscoverySettings } from '../../config/discovery-settings.ts';
import { readNamedFile } from '../../config/read/named-file.ts';
import type { BackendSettings, Settings } from '../../config/settings.ts';
import type { Logger } from '../../observe/logger.ts';
import { DurableFile, removeUnfinished } from '../durable-file.ts';
import { decodeLists, encodeLists, LARGEST_LISTS_BYTES, type StoredList } from './list-format.ts';

/** The first change is written soon, and further ones not more often: an answer may be another one each second. */
const FIRST_WRITE_MS = 500;
const WRITE_EVERY_MS = 10_000;
/** A list that stays as it is has its time written anew so often. */
const SAME_LIST_MS = 60 * 60_000;
/** Of a file that can't be written: once, and so often again. */
const TELL_EVERY_MS = 60 * 60_000;
/** Addresses of a network that is not for everybody. */
const MODE = 0o600;

export interface KeptList {
  readonly list: readonly BackendSettings[];
  /** When the source last said so, in ms of the wall clock. */
  readonly at: number;
}

export interface KeptListsOptions {
  /** Undefined: they are in the memory of this process, and of the next one in an upgrade. */
  readonly path: string | undefined;
  /** Another process may have the file, for now or for good. */
  readonly mayWrite: () => boolean;
  readonly log: Logger;
  /** What the process before this one has had; undefined: there was none, or it says nothing of it. */
  readonly handedOn?: string | undefined;
  readonly now?: () => number;
}

export class KeptLists {
  readonly #options: KeptListsOptions;
  readonly #now: () => number;
  readonly #file: DurableFile | undefined;
  /** By the name of the pool. */
  readonly #lists: Map<string, StoredList>;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #writtenAt = Number.NEGATIVE_INFINITY;
  /** Some list is another than in the file, or was heard again since. */
  #isBehind = false;
  #toldAt = Number.NEGATIVE_INFINITY;

  /** Reads what is there. Never throws. */
  constructor(options: KeptListsOptions) {
    const { path, handedOn, now = Date.now } = options;
    this.#options = options;
    this.#now = now;
    this.#file = path === undefined ? undefined : new DurableFile(path);
    const told = handedOn === undefined ? undefined : decodeLists(handedOn, now());
    this.#lists = told ?? this.#read();
    // What was told is newer than the file.
    this.#isBehind = told !== undefined && told.size > 0;
    if (this.#isBehind) this.#writeLater();
  }

  /** Undefined: nothing is known, or only what another source has said. */
  of(pool: string, settings: DiscoverySettings): KeptList | undefined {
    const known = this.#lists.get(pool);
    if (known === undefined || known.of !== hashOf(settings)) return undefined;
    // What can't be of use, such as a list of nobody, is as good as none.
    return known.list.length === 0 ? undefined : known;
  }

  /** @param list a good answer, in order */
  keep(pool: string, settings: DiscoverySettings, list: readonly BackendSettings[]): void {
    const before = this.#lists.get(pool);
    const of = hashOf(settings);
    const isSame = before?.of === of && isDeepStrictEqual(before.list, list);
    this.#lists.set(pool, { of, at: this.#now(), list });
    this.#isBehind = true;
    if (!isSame || this.#now() - this.#writtenAt >= SAME_LIST_MS) this.#writeLater();
  }

  /** It is there no more, or is not searched for: what it had is not true any more when it is again. */
  forget(pool: string): void {
    if (!this.#lists.delete(pool)) return;
    this.#isBehind = true;
    this.#writeLater();
  }

  /** For the process that takes over. */
  text(): string {
    return encodeLists(this.#lists, this.#now()).text;
  }

  /** All that is known is in the file when this resolves, as far as it may be. Never rejects. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#write();
  }

  #read(): Map<string, StoredList> {
    const { path, log } = this.#options;
    if (path === undefined || !existsSync(path)) return new Map();
    const read = readNamedFile(path, LARGEST_LISTS_BYTES);
    const lists = 'fault' in read ? undefined : decodeLists(read.bytes.toString(), this.#now());
    if (lists !== undefined) return lists;
    const reason = 'fault' in read ? read.fault : `${path} is damaged`;
    const message = `what was found before can't be read (${reason}): without an answer of their sources, pools begin without backends`;
    log.warn('discovery.not_kept', message, { file: path, reason });
    return new Map();
  }

  #writeLater(): void {
    if (this.#file === undefined || this.#timer !== undefined) return;
    const restMs = this.#writtenAt + WRITE_EVERY_MS - this.#now();
    // The clock may have been set.
    const delayMs = Math.min(WRITE_EVERY_MS, Math.max(FIRST_WRITE_MS, restMs));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#write();
    }, delayMs);
    this.#timer.unref();
  }

  #write(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#writeNow());
    return this.#writing;
  }

  async #writeNow(): Promise<void> {
    const { path = '', mayWrite, log } = this.#options;
    if (this.#file === undefined || !this.#isBehind || !mayWrite()) return;
    // Of a process that was killed while it wrote.
    if (this.#writtenAt === Number.NEGATIVE_INFINITY) await removeUnfinished(path);
    const { text, tooLarge } = encodeLists(this.#lists, this.#now());
    this.#isBehind = false;
    this.#writtenAt = this.#now();
    let reason = tooLarge.length === 0 ? undefined : `there is no room for ${tooLarge.join(', ')}`;
    try {
      await this.#file.write(text, MODE);
    } catch (error) {
      this.#isBehind = true;
      this.#writeLater();
      reason = error instanceof Error ? error.message : String(error);
    }
    const now = performance.now();
    if (reason === undefined || now - this.#toldAt < TELL_EVERY_MS) return;
    this.#toldAt = now;
    const message = `what was found is not kept in ${path} (${reason}): who starts while a source is away has none of its backends`;
    log.warn('discovery.not_kept', message, { file: path, reason });
  }
}

/** Undefined: nothing is kept on the disk. */
export function fileOfLists({ cluster, stateFile }: Settings): string | undefined {
  const beside = cluster === null ? stateFile : cluster.snapshotFile;
  return beside?.replace(/(\.json)?$/, '.found.json');
}

/** Of where is asked and what the answer is made into, without what is secret, and without how often. */
function hashOf({ source, basePath }: DiscoverySettings): string {
  const shown = { ...source, token: '', everyMs: 0 };
  return createHash('sha256')
    .update(JSON.stringify([shown, basePath]))
    .digest('base64url');
}
