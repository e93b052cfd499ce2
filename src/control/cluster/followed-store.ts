/**
 * A copy of what the store holds under a prefix, kept up with it whatever happens in between.
 *
 * Every commit under the prefix also writes the head key, so that one small read on another connection tells whether the watch has been
 * silent for a reason. The epoch key is written once, when the store is begun: a store without it, with another one, or behind
 * what was read before was wiped or restored. It is held: what is known stays, until somebody accepts it.
 */
import { ObjectMap } from './object-map.ts';
import type { Change, Listing, RegistryStore, StoredObject, WatchEnd } from './registry-store.ts';
import { backOffMs, SYSTEM_TIMING, type Timing } from './timing.ts';

const SHORTEST_CHECK_MS = 1_000;
const LONGEST_CHECK_MS = 1_500;
const CHECK_DEADLINE_MS = 500;
/** After a check that has failed. */
const SECOND_CHECK_MS = 250;
/** A head may be ahead for so long: what is on its way arrives within. */
const AHEAD_MS = 500;
const SHORTEST_WATCH_MS = 30_000;
const LONGEST_WATCH_MS = 60_000;
const HELD_AGAIN_MS = 1_000;

/** `stale`: it can't be told whether the copy is what the store has. `held`: see above. */
export type FollowedState = 'connecting' | 'current' | 'stale' | 'held';

export interface FollowedCopy {
  readonly epoch: string;
  /** Of the last commit that is in it. */
  readonly revision: number;
  readonly objects: ReadonlyMap<string, StoredObject>;
}

export interface FollowedStoreOptions {
  readonly store: RegistryStore;
  readonly prefix: string;
  readonly headKey: string;
  readonly epochKey: string;
  /** A list of epochs in JSON: whoever knows the store by one of them takes it as it is now. Written by whoever has accepted it for all. */
  readonly succeedsKey?: string;
  /** What is known from before. Without it, the first epoch that is found is accepted. */
  readonly known?: FollowedCopy;
  /** Told when something in it has changed. An object that has not changed is the same one as before. */
  readonly onCopy: (copy: FollowedCopy) => void;
  /** @param reason for people; undefined for `current`. */
  readonly onState: (state: FollowedState, reason: string | undefined) => void;
  readonly timing?: Timing;
}

/** Why one watch is over. */
type Turn = { readonly next: 'watch' | 'read'; readonly failure?: string };

export class FollowedStore {
  readonly #options: FollowedStoreOptions;
  readonly #timing: Timing;
  #copy: FollowedCopy | undefined;
  #state: FollowedState = 'connecting';
  #toldEpoch: string | undefined;
  /** What the store that is held calls itself. */
  #foundEpoch: string | undefined;
  #accepted: string | undefined;
  /** In a row. */
  #failures = 0;
  #isClosed = false;
  #wake: () => void = () => {};
  #endTurn: (turn: Turn) => void = () => {};

  constructor(options: FollowedStoreOptions) {
    this.#options = options;
    this.#timing = options.timing ?? SYSTEM_TIMING;
    this.#copy = options.known;
    void this.#run();
  }

  get state(): FollowedState {
    return this.#state;
  }

  get copy(): FollowedCopy | undefined {
    return this.#copy;
  }

  /** Of the store that is held; undefined where it has none, which can't be accepted. */
  get foundEpoch(): string | undefined {
    return this.#state === 'held' ? this.#foundEpoch : undefined;
  }

  /** The store that is held is the one from now on, if that is its epoch still. */
  accept(epoch: string): void {
    this.#accepted = epoch;
    this.#wake();
  }

  close(): void {
    this.#isClosed = true;
    this.#endTurn({ next: 'read' });
    this.#wake();
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      try {
        const listing = await this.#options.store.list(this.#options.prefix);
        if (this.#isClosed) return;
        if (this.#take(listing)) await this.#follow();
        else await this.#pause(HELD_AGAIN_MS);
      } catch (error) {
        await this.#fail(error instanceof Error ? error.message : String(error));
      }
    }
  }

  /** False: it is held. */
  #take({ revision, objects }: Listing): boolean {
    const before = this.#copy;
    const epoch = objects.find(({ key }) => key === this.#options.epochKey)?.value;
    if (epoch === undefined) return this.#hold(epoch, 'the store is empty');
    const succeeded = objects.find(({ key }) => key === this.#options.succeedsKey)?.value;
    const held = this.#whyHeld(epoch, revision, epochsIn(succeeded));
    if (held !== undefined) return this.#hold(epoch, held);
    this.#accepted = undefined;
    const old = before?.epoch === epoch ? before.objects : new Map<string, StoredObject>();
    const next = objects.map((object) => {
      const known = old.get(object.key);
      return known?.revision === object.revision ? known : object;
    });
    const isSame = old.size === next.length && next.every((one) => old.get(one.key) === one);
    if (isSame) this.#copy = { epoch, revision, objects: old };
    else {
      const all = new Map(next.map((one) => [one.key, one]));
      this.#publish({ epoch, revision, objects: ObjectMap.of(all) });
    }
    return true;
  }

  #whyHeld(epoch: string, revision: number, succeeded: readonly unknown[]): string | undefined {
    const before = this.#copy;
    if (before === undefined || epoch === this.#accepted) return undefined;
    if (epoch !== before.epoch) {
      return succeeded.includes(before.epoch) ? undefined : 'the store was begun anew';
    }
    if (revision >= before.revision) return undefined;
    return `the store was restored: it is at revision ${revision}, and ${before.revision} was read`;
  }

  #hold(epoch: string | undefined, reason: string): false {
    this.#foundEpoch = epoch;
    this.#become('held', reason);
    return false;
  }

  /** One watch after the other, until all has to be read again. */
  async #follow(): Promise<void> {
    for (;;) {
      const { next, failure } = await this.#watchOnce();
      if (this.#isClosed) return;
      if (failure !== undefined) await this.#fail(failure);
      if (next === 'read' || this.#state !== 'current') return;
    }
  }

  #watchOnce(): Promise<Turn> {
    return new Promise((resolve) => {
      const callOffs: (() => void)[] = [];
      const end = (turn: Turn): void => {
        watch.close();
        for (const callOff of callOffs.splice(0)) callOff();
        resolve(turn);
      };
      const { store, prefix } = this.#options;
      const watch = store.watch(prefix, this.#copy?.revision ?? 0, {
        started: () => {
          this.#become('current', undefined);
          const aliveMs = this.#between(SHORTEST_WATCH_MS, LONGEST_WATCH_MS);
          callOffs.push(this.#timing.after(aliveMs, () => end({ next: 'watch' })));
          callOffs.push(this.#checkHead(end));
        },
        changed: (changes, revision) => {
          this.#failures = 0;
          if (!this.#apply(changes, revision)) end({ next: 'read' });
        },
        ended: (why) => end(turnAfter(why)),
      });
      this.#endTurn = end;
    });
  }

  /** Again and again. @returns what ends that. */
  #checkHead(end: (turn: Turn) => void): () => void {
    let isOver = false;
    let callOff: (() => void) | undefined;
    let failures = 0;
    let wasAhead = false;
    const later = (ms: number): void => {
      callOff = this.#timing.after(ms, () => void check());
    };
    const check = async (): Promise<void> => {
      try {
        const place = await this.#placeOfHead();
        if (isOver) return;
        failures = 0;
        if (place === 'behind') end({ next: 'read' });
        else if (place === 'ahead' && wasAhead) {
          end({ next: 'read', failure: 'the watch tells nothing of what is written' });
        } else {
          wasAhead = place === 'ahead';
          if (!wasAhead) this.#failures = 0;
          later(wasAhead ? AHEAD_MS : this.#between(SHORTEST_CHECK_MS, LONGEST_CHECK_MS));
        }
      } catch (error) {
        if (isOver) return;
        failures++;
        const failure = error instanceof Error ? error.message : String(error);
        if (failures >= 2) end({ next: 'read', failure });
        else later(SECOND_CHECK_MS);
      }
    };
    later(this.#between(SHORTEST_CHECK_MS, LONGEST_CHECK_MS));
    return () => {
      isOver = true;
      callOff?.();
    };
  }

  /** Beside what we have. */
  async #placeOfHead(): Promise<'level' | 'ahead' | 'behind'> {
    const { store, headKey } = this.#options;
    const { revision, object } = await store.read(headKey, CHECK_DEADLINE_MS);
    const applied = this.#copy?.revision ?? 0;
    if (object === undefined || revision < applied) return 'behind';
    return object.revision > applied ? 'ahead' : 'level';
  }

  /** False: all has to be read again. */
  #apply(changes: readonly Change[], revision: number): boolean {
    const before = this.#copy;
    if (before === undefined) return false;
    const { epoch } = before;
    // Whoever has written another one has begun the store anew.
    const isOther = ({ key, object }: Change): boolean =>
      key === this.#options.epochKey && object?.value !== epoch;
    if (changes.some(isOther)) return false;
    this.#publish({ epoch, revision, objects: ObjectMap.of(before.objects).with(changes) });
    return true;
  }

  #publish(copy: FollowedCopy): void {
    this.#copy = copy;
    this.#options.onCopy(copy);
  }

  /** A watch that was cut is no reason for alarm: the next one goes on where it was. */
  async #fail(reason: string): Promise<void> {
    this.#failures++;
    const isDoubtful = this.#failures >= 2 || this.#state !== 'current';
    if (isDoubtful) this.#become(this.#copy === undefined ? 'connecting' : 'stale', reason);
    await this.#pause(backOffMs(this.#failures, this.#timing.random()));
  }

  #pause(ms: number): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const callOff = this.#timing.after(ms, resolve);
      this.#wake = () => {
        callOff();
        resolve();
      };
    });
  }

  /** Told once, and not at each of the tries that follow. Why it is held is told anew: there may be something to accept now. */
  #become(state: FollowedState, reason: string | undefined): void {
    if (state === this.#state && (state !== 'held' || this.#foundEpoch === this.#toldEpoch)) return;
    this.#state = state;
    this.#toldEpoch = this.#foundEpoch;
    this.#options.onState(state, reason);
  }

  #between(least: number, most: number): number {
    return least + (most - least) * this.#timing.random();
  }
}

function epochsIn(text: string | undefined): readonly unknown[] {
  try {
    const list: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(list) ? list : [];
  } catch {
    return [];
  }
}

function turnAfter(why: WatchEnd): Turn {
  return why.kind === 'failed' ? { next: 'watch', failure: why.reason } : { next: 'read' };
}
