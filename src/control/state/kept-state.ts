/** The state file in the life of the process: what is found at the start, and what is said about it. */
import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../observe/logger.ts';
import { removeUnfinished, resolveLinks } from '../durable-file.ts';
import { NO_OPERATOR_STATE, type OperatorState, settleLeaving } from './operator-state.ts';
import { copyStateFile, readStateFile, StateStore, setAsideStateFile } from './state-file.ts';
import { lockStateFile, type StateLock } from './state-lock.ts';

/** Whoever clears the file has it for a moment only, and so has a process that is about to end. */
const LOCK_TRIES = 10;
const LOCK_PAUSE_MS = 50;

export interface KeptStateOptions {
  /** Undefined: nothing is kept. */
  readonly path: string | undefined;
  readonly log: Logger;
  /** What the process knows that this one takes the place of: what has no file, is in its memory alone. */
  readonly handedOn?: OperatorState | undefined;
}

export class KeptState {
  /** What operators changed in earlier lives. */
  found: OperatorState = NO_OPERATOR_STATE;
  store: StateStore;
  readonly #path: string | undefined;
  readonly #log: Logger;
  #lock: StateLock | undefined;
  #secret: string | undefined;
  #isThere = false;
  #isHandedOver = false;

  private constructor({ path, log }: KeptStateOptions) {
    this.#path = path;
    this.#log = log;
    this.store = new StateStore(path);
  }

  /** Other files of this process beside it are no other's. */
  get mayBeWrittenBeside(): boolean {
    return this.store.isOurs && !this.#isHandedOver;
  }

  /** What can't be understood must not keep the proxy from starting, and must not be lost either. Never rejects. */
  static async open(options: KeptStateOptions): Promise<KeptState> {
    const kept = new KeptState(options);
    const { path, handedOn } = options;
    if (path !== undefined) {
      kept.#lock = await lockPatiently(path);
      if (kept.#lock.kind === 'held') await removeUnfinished(path);
      if (kept.#lock.kind === 'in-use') await kept.#borrow(path);
      else await kept.#read(path);
    }
    if (handedOn !== undefined) kept.found = settleLeaving(handedOn);
    return kept;
  }

  /**
   * Writes the registry's first state over what is there: whether a change can be kept shall be known before there is
   * one. Never rejects.
   */
  async begin(state: OperatorState): Promise<void> {
    const path = this.#path;
    const lock = this.#lock;
    if (path === undefined || lock === undefined || lock.kind === 'in-use') return;
    try {
      if (this.#isThere) {
        await this.store.save(state);
        this.#secret = state.sessionSecret;
      } else await access(dirname(await resolveLinks(path)), constants.W_OK);
      if (lock.kind === 'impossible' && this.store.isOurs) {
        const message = `another Fairlead with the state file ${path} would not be noticed: ${lock.reason}`;
        this.#log.warn('state_file.not_locked', message, { file: path, reason: lock.reason });
      }
    } catch (error) {
      const message = `the state file ${path} can't be written (${messageOf(error)}): changes through the admin API will be refused, unless with ?persist=false (--not-kept)`;
      this.#log.warn('state_file.not_writable', message, { file: path, error });
    }
    await this.keepSecret(state);
    const { inPlace } = this.store;
    if (inPlace === undefined) return;
    const { reason, copy } = inPlace;
    const beside = copy === undefined ? 'without a copy beside it' : `with a copy in ${copy}`;
    this.#log.warn(
      'state_file.in_place',
      `the state file ${path} can't be replaced (${reason}): it is written in place, ${beside}`,
      { file: path, ...(copy !== undefined && { copy }) },
    );
  }

  /**
   * A secret that was made here is kept at once, where there is a state file: session cookies shall be good after a
   * restart. Where that fails, sessions last as long as the process. Never rejects.
   */
  async keepSecret(state: OperatorState): Promise<void> {
    if (state.sessionSecret === this.#secret) return;
    this.#secret = state.sessionSecret;
    await this.store.save(state).catch((error: unknown) => {
      this.#log.error(
        'state_file.not_saved',
        `the secret of session cookies could not be saved: ${messageOf(error)}`,
        { error },
      );
    });
  }

  /** Whoever comes next may have the file. */
  async close(): Promise<void> {
    await this.store.flush();
    if (this.#lock?.kind === 'held') await this.#lock.release();
  }

  /** Another process has the file, for good. */
  handOver(): void {
    this.#isHandedOver = true;
    this.store.giveUp();
  }

  /** It was closed for another process, which has failed, and may have written to it. Never rejects. */
  async takeBack(state: OperatorState): Promise<void> {
    const path = this.#path;
    if (path === undefined || this.#lock?.kind !== 'held') return;
    this.#lock = await lockPatiently(path);
    if (this.#lock.kind === 'in-use') {
      this.store.giveUp();
      const message = `the state file ${path} is in use by another Fairlead: no change made here is kept`;
      this.#log.error('state_file.in_use', message, { file: path });
      return;
    }
    if (this.store.onDisk === undefined) return;
    await this.store.save(state).catch((error: unknown) => {
      const message = `the state file ${path} can't be written: ${messageOf(error)}`;
      this.#log.error('state_file.not_saved', message, { file: path, error });
    });
  }

  /** Of a file that another process has: what is in it now holds here too, and nothing is written to it. */
  async #borrow(path: string): Promise<void> {
    this.store = new StateStore(path, false);
    const result = await readStateFile(path);
    if (result.kind === 'read') {
      this.found = settleLeaving(result.state);
      this.#secret = result.state.sessionSecret;
    }
    const message = `the state file ${path} is in use by another Fairlead: what is in it now holds here too, but no change made here is kept`;
    this.#log.error('state_file.in_use', message, { file: path });
  }

  async #read(path: string): Promise<void> {
    const result = await readStateFile(path);
    if (result.kind === 'absent') return;
    this.#isThere = true;
    if (result.kind === 'unreadable') return this.#leave(path, result.reason);
    if (result.kind === 'damaged') return this.#setAside(path, result.reason);
    const { state, faults, copy } = result;
    this.found = settleLeaving(state);
    this.store.onDisk = state;
    this.#secret = state.sessionSecret;
    if (faults.length === 0 && copy === undefined) return;
    const aside = await copyStateFile(path, new Date()).catch(() => undefined);
    const where = aside === undefined ? 'no copy could be made' : `all of it is kept as ${aside}`;
    const what = [
      ...(copy === undefined ? [] : [`it is damaged (${copy.reason}), ${copy.path} is used`]),
      ...(faults.length === 0 ? [] : [`this is left out: ${faults.join('; ')}`]),
    ];
    this.#log.error(
      'state_file.damaged',
      `of the state file ${path}: ${what.join('; ')}; ${where}`,
      {
        file: path,
        left_out: faults,
        ...(copy !== undefined && { reason: copy.reason, used: copy.path }),
        ...(aside !== undefined && { kept_as: aside }),
      },
    );
  }

  /** What it says is not known, so nothing may be written over it. */
  #leave(path: string, reason: string): void {
    this.store = new StateStore(path, false);
    const message = `the state file ${path} can't be read (${reason}): the start goes on without it, and no change made here is kept; it is read again at the next start`;
    this.#log.error('state_file.not_readable', message, { file: path, reason });
  }

  async #setAside(path: string, reason: string): Promise<void> {
    const aside = await setAsideStateFile(path, new Date()).catch(() => undefined);
    // It would be lost with the first change.
    if (aside === undefined) this.store = new StateStore(path, false);
    const where =
      aside === undefined
        ? 'it could not be set aside, so nothing is kept'
        : `it is kept as ${aside}`;
    this.#log.error(
      'state_file.damaged',
      `the state file ${path} is damaged (${reason}); ${where}; starting without it`,
      { file: path, reason, ...(aside !== undefined && { kept_as: aside }) },
    );
  }
}

async function lockPatiently(path: string): Promise<StateLock> {
  for (let tries = 1; ; tries++) {
    const lock = await lockStateFile(path);
    if (lock.kind !== 'in-use' || tries === LOCK_TRIES) return lock;
    await sleep(LOCK_PAUSE_MS);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
