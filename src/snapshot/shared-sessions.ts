/**
 * The contract between the planes: sessions that all instances know, in an engine that only the control thread speaks to
 * (docs/decisions/0057-shared-sessions.md). What is there outlives an instance; what a data thread knows of it, it has in the table of
 * client-table.ts, as it has sessions that are its own.
 */

/** In a table of sessions, with the id of a backend that the engine may not have heard of. No id has this bit. */
export const IN_DOUBT = 2 ** 30;

/** Instead of whatever is there. */
export const ANYTHING = '*';

/** One step: what is there is kept, and said, unless it is what `instead` says; then `value` takes its place. */
export interface SessionAskMessage {
  readonly kind: 'session-ask';
  /** Of this thread: the answer has it too. */
  readonly id: number;
  /** Whose sessions they are: see `SharedSessionTable`. */
  readonly owner: string;
  readonly key: string;
  /** The URL of the backend that is to have the session, if none has; empty: it is only asked, or with `instead`, forgotten. */
  readonly value: string;
  /** The URL of a backend that is to have it no more; empty: none; or `ANYTHING`. */
  readonly instead: string;
  /** From now on. */
  readonly ttlMs: number;
  /** In place of that, where nobody has the session: it may be one that somebody has made up. */
  readonly firstTtlMs: number;
}

export interface SessionAnswerMessage {
  readonly kind: 'session-answer';
  readonly id: number;
  /** `failed`: the engine has not answered; `down`: nor will it answer others, until `counter-engine` says so. */
  readonly outcome: 'answered' | 'failed' | 'down';
  /** Who has the session now; empty: nobody. */
  readonly value: string;
}
