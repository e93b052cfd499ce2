/** What goes with a change, whichever it is. */
import type { Actor } from './audit.ts';
import { type SessionsWhileDraining } from './operator-words.ts';

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

/** How a backend drains, at whichever instance. */
export interface DrainTerms {
  readonly ms: number;
  readonly sessions: SessionsWhileDraining;
  readonly cutsRequests: boolean;
  /** In ms since the epoch, by the clock of whoever began it. */
  readonly begunAt: number;
}

export type ChangeTerms = Terms & {
  /** Of a change after which a backend drains. */
  readonly drain?: DrainTerms;
  /** Checked as the precondition is, and about nothing but what the change is about: others may change what they like meanwhile. */
  readonly guard?: () => void;
};

export function drainTerms(
  ms: number,
  sessions: SessionsWhileDraining = 'keep',
  cutsRequests = false,
): DrainTerms {
  return { ms, sessions, cutsRequests, begunAt: Date.now() };
}

export const KEPT: Terms = { precondition: undefined, isToBeKept: true };
