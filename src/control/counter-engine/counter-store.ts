/**
 * What counts for all instances together, and knows whose sessions are whose: all that is asked of an engine. What is embedded instead
 * of one is data/limit/rate-limit.ts, and data/balance/session-table.ts.
 */
import type { RateLimit } from '../../snapshot/policies.ts';
import type { SessionAskMessage } from '../../snapshot/shared-sessions.ts';

export interface CounterStore {
  /** Rejects when there is no answer within the patience of whoever made it. */
  take(asked: Take): Promise<Taken>;
  /** Get, set, or compare and set, in one step. @returns whose the session is now; empty: nobody's. Rejects as `take` does. */
  claim(asked: Claim): Promise<string>;
  /** For good. */
  close(): void;
}

export interface Take {
  /** Whose requests they are, and by which rule. */
  readonly owner: string;
  readonly key: string;
  readonly limit: RateLimit;
  /** Fewer are granted where there are not so many. */
  readonly want: number;
  /** The key is so far ahead of its rate at least, whatever the engine knows of it. */
  readonly debtMs: number;
}

/** As `SessionAskMessage`. */
export type Claim = Omit<SessionAskMessage, 'kind' | 'id'>;

export interface Taken {
  readonly granted: number;
  /** Until there is one more; 0: all that was wanted is granted. */
  readonly waitMs: number;
  /** How far ahead of its rate the key is now. */
  readonly debtMs: number;
}
