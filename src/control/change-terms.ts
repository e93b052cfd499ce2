/** What goes with a change, whichever it is. */
import type { Logger } from '../observe/logger.ts';
import type { Actor, Values } from './audit.ts';
import type { Backend } from './backend.ts';
import type { SessionsWhileDraining } from './operator-words.ts';

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

export interface BackendDrain extends DrainTerms {
  readonly pool: string;
  readonly url: string;
}

export type ChangeTerms = Terms & {
  /** How the backend drains whose drain begins with the change. Asked when that is planned. */
  readonly drain?: () => BackendDrain | undefined;
  /** Checked as the precondition is, and about nothing but what the change is about: others may change what they like meanwhile. */
  readonly guard?: () => void;
};

/** What has come of a change of one backend. */
export interface ChangeOfOne {
  readonly backend: Backend;
  /** Of its pool. */
  readonly log: Logger;
  /** What was wanted of it before. */
  readonly was: Values;
  /** How it drains, if that has begun with the change. */
  readonly drain: DrainTerms | undefined;
}

export function drainTerms(
  ms: number,
  sessions: SessionsWhileDraining = 'keep',
  cutsRequests = false,
): DrainTerms {
  return { ms, sessions, cutsRequests, begunAt: Date.now() };
}

export const KEPT: Terms = { precondition: undefined, isToBeKept: true };
