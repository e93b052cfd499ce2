/** What the control plane asks of the cluster that this process is in. What is behind it is loaded only where there is one. */
import type { LoadResult } from '../config/load.ts';
import type { SharedConfig } from '../config/shared-config.ts';
import type { Actor } from './audit.ts';
import type { BackendDrain, DrainTerms } from './change-terms.ts';
import type { PartTerms, SharedPart } from './cluster/shared-part.ts';
import type { Registry } from './registry.ts';
import type { OperatorState } from './state/operator-state.ts';

/** A change that all instances are to share was not made, or it is not known whether it was. */
export class NotShared extends Error {
  /**
   * `unavailable`: the store can't be reached, or does not take it now. `unknown`: it was asked for, and no answer came. `partly`: a part of
   * it was made. `full`: the store has no room. `busy`: others change the same again and again.
   */
  readonly kind: 'unavailable' | 'unknown' | 'partly' | 'full' | 'busy';
  /** By which it can be asked for later. */
  readonly writeId: string | undefined;

  constructor(kind: NotShared['kind'], message: string, writeId?: string) {
    super(message);
    this.name = 'NotShared';
    this.kind = kind;
    this.writeId = writeId;
  }
}

/** A change was made, and some instances do not run on it yet. */
export class NotEverywhere extends Error {
  readonly revision: number;
  readonly instances: readonly string[];

  constructor(revision: number, instances: readonly string[]) {
    super(`The change was made, and ${instances.join(', ')} did not run on it in time.`);
    this.name = 'NotEverywhere';
    this.revision = revision;
    this.instances = instances;
  }
}

export interface SharedWrite {
  /** Nothing else may have changed since this revision; undefined: only what it is about. */
  readonly at: number | undefined;
  readonly actor: Actor | undefined;
  /** Of the backend that drains from then on. */
  readonly drain: BackendDrain | undefined;
}

/** How changes of operators get to all instances. */
export interface SharedChanges {
  /** Of the next backend that is added. */
  readonly nextId: number;
  /**
   * Writes what differs. Undefined: something that it rests on has changed meanwhile, and `take` has it now.
   * @returns the revision of the change. @throws NotShared
   */
  write(
    before: OperatorState,
    next: OperatorState,
    terms: SharedWrite,
  ): Promise<number | undefined>;
  /** Makes the registry run on what is known now. False: it did. */
  take(): boolean;
  /** How another instance has begun to drain this backend. Undefined: nothing is known of it, or it was this one. */
  drainOf(pool: string, url: string): DrainTerms | undefined;
  /** Resolves when all instances run on it. @throws NotEverywhere */
  appliedByAll(revision: number): Promise<void>;
}

export interface ClusterReadiness {
  /** Undefined: all is well. */
  readonly degraded: string | undefined;
  /** Nothing is known to serve by; why. */
  readonly notReady: string | undefined;
}

/** One metric of the cluster. */
export interface ClusterFigures {
  readonly state: string;
  /** Of the last change that this instance runs on. */
  readonly revision: number;
  /** Since it was last known that it runs on what the store has. */
  readonly configAgeSeconds: number;
  readonly members: number;
  readonly refusedObjects: number;
}

/** What the cluster works on, which is there only after it. */
export interface ClusterSurroundings {
  readonly registry: Registry;
  /** Makes it run on what `SharedChanges.take` takes, in turn with what operators change. */
  readonly sharedChanged: () => Promise<void>;
  /** What the sources of this instance say together with these pools and routes. */
  readonly load: (shared: SharedConfig) => LoadResult;
  /** They hold from now on. */
  readonly taken: (shared: SharedConfig, loaded: Extract<LoadResult, { ok: true }>) => void;
  /** There are so many instances, this one among them; told when it is another number. Nobody goes while the store can't be asked. */
  readonly instancesAre: (count: number) => void;
  /** Checks a backend now, whatever comes of it. */
  readonly checkNow: (pool: string, url: string) => void;
  /** Removes a backend that is on its way out still, and that nothing here sees to. @throws what a change throws */
  readonly finishRemoval: (pool: string, url: string) => Promise<void>;
  /** Session tickets of TLS are sealed with these from now on. */
  readonly ticketKeysAre: (keys: Uint8Array) => void;
  /** What callers of the admin API show. */
  readonly token: () => string | undefined;
}

export interface ClusterPort {
  /** Resolves when what is known first is run on: what the store says, or after a while what the disk does, or nothing. */
  begin(around: ClusterSurroundings): Promise<void>;
  readonly changes: SharedChanges;
  readonly readiness: ClusterReadiness;
  readonly figures: ClusterFigures;
  /** What the instances share besides. Each prefix is used by one at a time. */
  part(terms: PartTerms): SharedPart;
  /** What `GET /cluster` answers; asks the other instances. */
  describe(): Promise<object>;
  /** What `GET /cluster/health` answers. */
  ownHealth(): object;
  /** Whether an `Authorization` shows that it is another instance that asks. */
  isPeer(authorization: string | undefined): boolean;
  /** The change that was written with this id. Undefined: none is known. */
  findWrite(id: string): { readonly revision: number } | undefined;
  /** Copies on the disk, up to date when it resolves, and what the others are told of this instance are another process's from then on. Never rejects. */
  makeWay(): Promise<void>;
  /** They are this one's again. */
  goOn(): void;
  close(): Promise<void>;
}
