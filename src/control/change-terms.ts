/** What goes with a change, whichever it is. */
import type { Actor } from './audit.ts';

/** What a reader has seen. */
export interface Versioned {
  /** Counts changes in this process. */
  readonly generation: number;
  /** In a cluster: of the last change that all instances share; undefined: there is none yet, or no cluster. */
  readonly sharedRevision: number | undefined;
}

/** Checked when the change's turn comes; throws to refuse it. */
export type Precondition = (now: Versioned) => void;

export interface Terms {
  readonly precondition: Precondition | undefined;
  /** Whether it outlives a restart; in a cluster, whether it is for all instances. */
  readonly isToBeKept: boolean;
  /** In a cluster: it is not done before all instances run on it. */
  readonly waitsForAll?: boolean;
  /** Who wants it. */
  readonly actor?: Actor;
}

/** When it is over, in ms since the epoch, where a backend drains before it is removed. */
export type ChangeTerms = Terms & { readonly leavesAt?: number };

export const KEPT: Terms = { precondition: undefined, isToBeKept: true };
