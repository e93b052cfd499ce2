/** The state file in the life of the process: what is found at the start, and what is said about it. */
import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from '../observe/logger.ts';
import { resolveLinks } from './durable-file.ts';
import { NO_OPERATOR_STATE, type OperatorState, settleLeaving } from './operator-state.ts';
import { copyStateFile, readStateFile, StateStore, setAsideStateFile } from './state-file.ts';

export interface KeptStateOptions {
  /** Undefined: nothing is kept. */
  readonly path: string | undefined;
  readonly log: Logger;
}

export class KeptState {
  /** What operators changed in earlier lives. */
  found: OperatorState = NO_OPERATOR_STATE;
  /** Without a path from the moment that the file may not be touched. */
  store: StateStore;
  readonly #path: string | undefined;
  readonly #log: Logger;
  #secret: string | undefined;
  #isThere = false;

  private constructor({ path, log }: KeptStateOptions) {
    this.#path = path;
    this.#log = log;
    this.store = new StateStore(path);
  }

  /** What can't be understood must not keep the proxy from starting, and must not be lost either. Never rejects. */
  static async open(options: KeptStateOptions): Promise<KeptState> {
    const kept = new KeptState(options);
    if (options.path !== undefined) await kept.#read(options.path);
    return kept;
  }

  /**
   * Writes the registry's first state over what is there: whether a change can be kept shall be known before there is
   * one. Never rejects.
   */
  async begin(state: OperatorState): Promise<void> {
    const path = this.#path;
    if (path === undefined) return;
    try {
      if (this.#isThere) {
        await this.store.save(state);
        this.#secret = state.sessionSecret;
      } else await access(dirname(await resolveLinks(path)), constants.W_OK);
    } catch (error) {
      const message = `the state file ${path} can't be written (${messageOf(error)}): changes through the admin API will be refused`;
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

  async #read(path: string): Promise<void> {
    const result = await readStateFile(path);
    if (result.kind === 'absent') return;
    this.#isThere = true;
    if (result.kind === 'damaged') return this.#setAside(path, result.reason);
    const { state, faults, copy } = result;
    this.found = settleLeaving(state);
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

  async #setAside(path: string, reason: string): Promise<void> {
    const aside = await setAsideStateFile(path, new Date()).catch(() => undefined);
    // It would be lost with the first change.
    if (aside === undefined) this.store = new StateStore(undefined);
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
