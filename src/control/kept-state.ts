/** The state file in the life of the process: what is found at the start, and what is said about it. */
import type { Logger } from '../observe/logger.ts';
import { NO_OPERATOR_STATE, type OperatorState, settleLeaving } from './operator-state.ts';
import { copyStateFile, readStateFile, StateStore, setAsideStateFile } from './state-file.ts';

export class KeptState {
  /** What operators changed in earlier lives. */
  readonly found: OperatorState;
  readonly store: StateStore;
  readonly #log: Logger;
  #secret: string | undefined;
  /** What is on disk holds parts that were set aside. */
  readonly #isToBeMended: boolean;

  private constructor(found: OperatorState, store: StateStore, log: Logger, isToBeMended: boolean) {
    this.found = found;
    this.store = store;
    this.#log = log;
    this.#secret = found.sessionSecret;
    this.#isToBeMended = isToBeMended;
  }

  /** What can't be understood must not keep the proxy from starting, and must not be lost either. Never throws. */
  static async open(path: string | undefined, log: Logger): Promise<KeptState> {
    const store = new StateStore(path);
    const result = path === undefined ? undefined : await readStateFile(path);
    if (path === undefined || result === undefined || result.kind === 'absent') {
      return new KeptState(NO_OPERATOR_STATE, store, log, false);
    }
    if (result.kind === 'damaged') {
      const aside = await setAsideStateFile(path, new Date()).catch(() => undefined);
      const where = aside === undefined ? 'it could not be set aside' : `it is kept as ${aside}`;
      log.error(
        'state_file.damaged',
        `the state file ${path} is damaged (${result.reason}); ${where}; starting without it`,
        { file: path, reason: result.reason, ...(aside !== undefined && { kept_as: aside }) },
      );
      return new KeptState(NO_OPERATOR_STATE, store, log, false);
    }
    const { state, faults } = result;
    const found = settleLeaving(state);
    if (faults.length === 0) return new KeptState(found, store, log, false);
    const copy = await copyStateFile(path, new Date()).catch(() => undefined);
    const where = copy === undefined ? 'no copy could be made' : `all of it is kept as ${copy}`;
    log.error(
      'state_file.damaged',
      `of the state file ${path}, this is left out: ${faults.join('; ')}; ${where}`,
      { file: path, left_out: faults, ...(copy !== undefined && { kept_as: copy }) },
    );
    return new KeptState(found, store, log, copy !== undefined);
  }

  /** With the registry's first state: its secret, and the file without what was set aside. Never rejects. */
  async begin(state: OperatorState): Promise<void> {
    if (this.#isToBeMended) await this.#save(state, 'what is good of the state file');
    await this.keepSecret(state);
  }

  /**
   * A secret that was made here is kept at once, where there is a state file: session cookies shall be good after a
   * restart. Where that fails, sessions last as long as the process. Never rejects.
   */
  async keepSecret(state: OperatorState): Promise<void> {
    if (state.sessionSecret === this.#secret) return;
    this.#secret = state.sessionSecret;
    await this.#save(state, 'the secret of session cookies');
  }

  async #save(state: OperatorState, what: string): Promise<void> {
    await this.store.save(state).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.error('state_file.not_saved', `${what} could not be saved: ${reason}`, { error });
    });
  }
}
