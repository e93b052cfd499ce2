/** What counts for all instances together: the one thing that is asked of an engine. The embedded one is data/limit/rate-limit.ts. */
import type { RateLimit } from '../../snapshot/policies.ts';

export interface CounterStore {
  /** Rejects when there is no answer within the patience of whoever made it. */
  take(asked: Take): Promise<Taken>;
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

export interface Taken {
  readonly granted: number;
  /** Until there is one more; 0: all that was wanted is granted. */
  readonly waitMs: number;
  /** How far ahead of its rate the key is now. */
  readonly debtMs: number;
}
