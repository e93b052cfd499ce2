/**
 * Reloads when the config file has become another one, beside SIGHUP and POST /reload.
 *
 * What counts is the text: the watch only says when to look. A text that was read already, by whomever, is none that has changed. One
 * reload at a time; what changes meanwhile is looked at afterwards.
 *
 * A file that is written in place for longer than we wait may have lost its last lines only for now, and with them a `deny`. That is
 * taken up by none but those who ask for a reload.
 */
import type { Settings } from '../../config/settings.ts';
import type { FairleadContext } from '../context.ts';
import { FileWatch } from '../file-watch.ts';

/** Who writes in pieces is given so long between two of them, */
const QUIET_MS = 200;
/** and no longer than this altogether. */
const LATEST_MS = 2_000;
/** A file that is gone for a moment, while another takes its place, is nothing to tell of. */
const GONE_MS = 1_000;

export interface ConfigWatchOptions {
  readonly context: Pick<FairleadContext, 'lookAtSource'>;
  /** What it throws has been told. */
  readonly reload: () => Promise<unknown>;
  /** The file is the beginning of the text in force, and is not read. Said once, until it is something else. */
  readonly onCutOff: () => void;
  /** It is as it was last read. */
  readonly onAsBefore: () => void;
}

export class ConfigWatch {
  readonly #options: ConfigWatchOptions;
  #watch: FileWatch | null = null;
  #file: string | undefined;
  #quiet: NodeJS.Timeout | undefined;
  #firstAtMs: number | undefined;
  #isReloading = false;
  #isToLookAgain = false;
  #isCutOff = false;
  #isStopped = false;

  constructor(options: ConfigWatchOptions) {
    this.#options = options;
  }

  /** Watches what these settings came from, if they say so. What has changed already is found as well. */
  follow({ configFile, isWatched }: Pick<Settings, 'configFile' | 'isWatched'>): void {
    const file =
      isWatched && this.#options.context.lookAtSource !== undefined ? configFile : undefined;
    if (this.#isStopped || file === this.#file) return;
    this.#unwatch();
    this.#file = file;
    if (file === undefined) return;
    this.#watch = new FileWatch({ onChange: () => this.#changed() });
    this.#watch.setPaths([file]);
    this.#changed();
  }

  /** For good. */
  stop(): void {
    this.#isStopped = true;
    this.#unwatch();
  }

  #unwatch(): void {
    clearTimeout(this.#quiet);
    this.#quiet = undefined;
    this.#firstAtMs = undefined;
    this.#watch?.close();
    this.#watch = null;
    this.#file = undefined;
  }

  #changed(): void {
    const now = performance.now();
    this.#firstAtMs ??= now;
    this.#lookIn(Math.max(0, Math.min(QUIET_MS, this.#firstAtMs + LATEST_MS - now)));
  }

  #lookIn(ms: number, isGone = false): void {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => {
      this.#firstAtMs = undefined;
      void this.#look(isGone);
    }, ms).unref();
  }

  /** @param isGone it could not be read a while ago either. */
  async #look(isGone: boolean): Promise<void> {
    if (this.#isReloading) {
      this.#isToLookAgain = true;
      return;
    }
    const state = this.#options.context.lookAtSource?.() ?? 'same';
    const wasCutOff = this.#isCutOff;
    this.#isCutOff = state === 'cut off';
    if (this.#isCutOff && !wasCutOff) this.#options.onCutOff();
    if (state === 'same') this.#options.onAsBefore();
    if (this.#isCutOff || state === 'same') return;
    if (state === 'unreadable' && !isGone) {
      this.#lookIn(GONE_MS, true);
      return;
    }
    this.#isReloading = true;
    await this.#options.reload().catch(() => {});
    this.#isReloading = false;
    if (!this.#isToLookAgain) return;
    this.#isToLookAgain = false;
    if (this.#watch !== null) this.#changed();
  }
}
