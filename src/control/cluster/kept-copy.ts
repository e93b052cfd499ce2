/** Keeps the copy on the disk up with what is run on: soon after a change, and once a second while they come in a stream. */
import { stat } from 'node:fs/promises';
import type { Logger } from '../../observe/logger.ts';
import type { FollowedCopy } from './followed-store.ts';
import { LastKnownGood } from './last-known-good.ts';

const SOON_MS = 50;
/** All of it is written each time, and to the disk that etcd may be writing to. */
const BETWEEN_MS = 1_000;

export class KeptCopy {
  readonly #path: string;
  readonly #file: LastKnownGood;
  readonly #log: Logger;
  #waiting: FollowedCopy | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lastSave = Number.NEGATIVE_INFINITY;
  #saving: Promise<void> = Promise.resolve();
  #isFailing = false;
  #isHeld = false;

  /** @param of which store, and what in it. */
  constructor(path: string, of: string, log: Logger) {
    this.#path = path;
    this.#file = new LastKnownGood(path, of);
    this.#log = log;
  }

  /** With when it was written, in ms since the epoch. Never rejects. */
  async load(): Promise<{ readonly copy: FollowedCopy; readonly savedAt: number } | undefined> {
    const copy = await this.#file.load();
    if (copy === undefined) return undefined;
    const { mtimeMs } = await stat(this.#path).catch(() => ({ mtimeMs: Date.now() }));
    return { copy, savedAt: mtimeMs };
  }

  save(copy: FollowedCopy): void {
    this.#waiting = copy;
    const restMs = this.#lastSave + BETWEEN_MS - performance.now();
    this.#timer ??= setTimeout(() => this.#saveNow(), Math.max(SOON_MS, restMs));
    this.#timer.unref();
  }

  /** What there is is on the disk when it resolves. From then on the file is somebody else's, until `goOn`. Never rejects. */
  async hold(): Promise<void> {
    clearTimeout(this.#timer);
    this.#saveNow();
    this.#isHeld = true;
    await this.#saving;
  }

  goOn(): void {
    this.#isHeld = false;
    if (this.#waiting !== undefined) this.save(this.#waiting);
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#saveNow();
    await this.#saving;
  }

  #saveNow(): void {
    this.#timer = undefined;
    if (this.#isHeld) return;
    const copy = this.#waiting;
    this.#waiting = undefined;
    if (copy === undefined) return;
    this.#lastSave = performance.now();
    this.#saving = this.#saveAfter(this.#saving, copy);
  }

  async #saveAfter(before: Promise<void>, copy: FollowedCopy): Promise<void> {
    await before;
    try {
      await this.#file.save(copy);
      this.#isFailing = false;
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Once, not for every change. */
  #fail(error: unknown): void {
    if (this.#isFailing) return;
    this.#isFailing = true;
    const reason = error instanceof Error ? error.message : String(error);
    const message = `${this.#path} can't be written (${reason}): this instance would not start without the store as it is now`;
    this.#log.error('cluster.not_kept', message, { file: this.#path, error });
  }
}
