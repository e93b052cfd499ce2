/** Changes that are checked and not made yet. */
import type { BackendSettings } from '../config/settings.ts';
import type { AdminState } from './operator-words.ts';
import type { OperatorEntry, OperatorState } from './state/operator-state.ts';

/** A change that the registry can't make. */
export class ChangeRefused extends Error {
  readonly reason: 'duplicate' | 'id-not-free' | 'unknown-backend' | 'unknown-pool';

  constructor(reason: ChangeRefused['reason'], message: string) {
    super(message);
    this.name = 'ChangeRefused';
    this.reason = reason;
  }
}

/** The state file could not be written; the change was not made. */
export class SaveFailed extends Error {
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = 'SaveFailed';
  }
}

/**
 * A change that is checked but not made. Save `state`, then `commit`; drop the plan to drop the change.
 * One plan at a time: committing after another plan was committed throws.
 */
export interface Plan<T> {
  /** What is kept once this is. */
  readonly state: OperatorState;
  /** True where `state` is what is kept anyway: there is nothing to save. */
  readonly isSaved: boolean;
  /** True where the plan changes nothing that is in force. */
  readonly isEmpty: boolean;
  /** @param isToBeKept false: `state` was not saved, and nothing of this change ever will be. */
  commit(isToBeKept?: boolean): T;
}

/** What is wanted of a backend that is added. */
export interface NewBackend {
  readonly weight: number;
  readonly isBackup: boolean;
  readonly state: AdminState;
  /** Of a backend with the same URL that was removed a while ago: it comes back as the same. Undefined: the next one. */
  readonly id: number | undefined;
}

/** What operators may set of a backend. */
export interface BackendUpdate {
  readonly state?: AdminState;
  readonly weight?: number;
  readonly isBackup?: boolean;
}

/** Values that the config has anyway are not kept as overrides, so that later edits of the config show. */
export function changeOf(
  { state, weight, isBackup }: BackendUpdate,
  configured: BackendSettings | undefined,
): Partial<OperatorEntry> {
  return {
    ...(state !== undefined && {
      state: state === 'enabled' ? undefined : state,
      isLeaving: false,
      wasFound: false,
    }),
    ...(weight !== undefined && { weight: configured?.weight === weight ? undefined : weight }),
    ...(isBackup !== undefined && {
      isBackup: configured?.isBackup === isBackup ? undefined : isBackup,
    }),
  };
}
