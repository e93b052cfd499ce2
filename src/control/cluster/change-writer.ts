/** Writes what operators change, as one transaction that rests on what this instance runs on. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { NotShared, type SharedWrite } from '../cluster-port.ts';
import { LOCAL_IDS } from '../state/kept-changes.ts';
import type { OperatorState } from '../state/operator-state.ts';
import type { FollowedCopy } from './followed-store.ts';
import {
  keyOf,
  type RegistryStore,
  StoreError,
  type Transaction,
  type Write,
} from './registry-store.ts';
import { DrainsBegunHere } from './shared-drains.ts';
import { type ControlObject, type Understood, understand, valueOf } from './shared-objects.ts';
import { writesFor } from './shared-state.ts';
import { commitStaged, StageLost } from './staged-commit.ts';
import type { StoreKeys } from './store-keys.ts';

const HEAD_MS = 1_000;
/** Of one transaction: etcd takes 128, and each brings some along. */
const MOST_OPERATIONS = 120;

export interface ChangeWriterOptions {
  readonly store: RegistryStore;
  readonly keys: StoreKeys;
  readonly instance: string;
}

/** As far as it is newer than the copy. */
interface Written {
  /** Undefined: it was removed. */
  readonly value: string | undefined;
  readonly revision: number;
}

export class ChangeWriter {
  readonly #options: ChangeWriterOptions;
  #base: FollowedCopy | undefined;
  #written = new Map<string, Written>();
  #wroteAt = 0;
  readonly drainsBegun = new DrainsBegunHere();

  constructor(options: ChangeWriterOptions) {
    this.#options = options;
  }

  /** What is run on; what was written here before is in it. */
  set base(copy: FollowedCopy) {
    // Revisions of the store before say nothing of this one's.
    if (copy.epoch !== this.#base?.epoch) this.#wroteAt = 0;
    this.#base = copy;
    this.#written = new Map();
  }

  /** False: it was read before something was written here that is run on already. */
  isUpTo({ epoch, revision }: FollowedCopy): boolean {
    return revision >= this.#wroteAt || epoch !== this.#base?.epoch;
  }

  /** Of the next backend that is added. @throws NotShared where somebody else has written it */
  get nextId(): number {
    const { ids } = this.#options.keys;
    const value = this.#valueOf(ids);
    if (value === undefined) return 0;
    const next = nextIn(value);
    if (next !== undefined) return next;
    const reason = `${ids} is not what an instance writes: set it to {"next":N}, N above all ids.`;
    throw new NotShared('unavailable', reason);
  }

  /**
   * @param whyNot undefined: the store is followed.
   * @param reached resolves when the copy has come so far, or after a while.
   * @returns its revision; undefined: what it rests on has changed. @throws NotShared
   */
  async write(
    before: OperatorState,
    next: OperatorState,
    { at, actor, drain }: SharedWrite,
    whyNot: string | undefined,
    reached: (revision: number) => Promise<void>,
  ): Promise<number | undefined> {
    const base = this.#base;
    if (whyNot !== undefined || base === undefined) {
      throw new NotShared('unavailable', whyNot ?? 'Nothing is known of the store yet.');
    }
    const { store, keys, instance } = this.#options;
    const writeId = randomUUID();
    const begun = drain && {
      ms: drain.ms,
      sessions: drain.sessions,
      cut: drain.cutsRequests,
      since: drain.begunAt,
      instance,
    };
    const changeAs = (id: string) =>
      writesFor(before, next, {
        keys,
        revisionOf: (key) => this.#revisionOf(key),
        writtenUrl: (pool, backend) => this.#writtenUrl(keys.backend(pool, backend)),
        nextId: this.nextId,
        writeId: id,
        by: actor,
        writtenControl: (pool, url) => this.#writtenControl(keys.control(pool, url)),
        drainingPool: drain?.pool,
        drainOf: (pool, url) => (drain?.pool === pool && drain.url === url ? begun : undefined),
      });
    const { conditions, writes } = changeAs(writeId);
    if (writes.some((write) => 'put' in write && givesTooMany(write, keys))) {
      throw new NotShared('full', `The store has given all its ${LOCAL_IDS} ids of backends.`);
    }
    const head: Write = { put: keys.head, value: valueOf({ write: writeId, instance }) };
    const all = [...writes, head];
    const isMuch = Math.max(writes.length, conditions.length) > MOST_OPERATIONS;
    const { epoch } = base;
    const revision = await (isMuch
      ? // Then nothing else may have changed: the head alone says so.
        commitStaged(store, keys, {
          writes: (id) => changeAs(id).writes,
          epoch,
          instance,
          writeId,
          head: this.#revisionOf(keys.head) ?? 0,
        })
      : this.#commit({
          conditions: [
            ...conditions,
            { key: keys.epoch, value: epoch },
            { key: keys.staged, isAbsent: true },
            ...(at === undefined ? [] : [{ key: keys.head, revision: at }]),
          ],
          writes: all,
        })
    ).catch((error: unknown) => {
      throw notShared(error, writeId);
    });
    if (revision === undefined) {
      const { object } = await store.read(keys.head, HEAD_MS).catch((error: unknown) => {
        throw notShared(error, writeId);
      });
      if (object !== undefined) await reached(object.revision);
      return undefined;
    }
    // Else the store was begun anew meanwhile, and what it has now was read.
    if (this.#base?.epoch === epoch) this.#note(all, revision);
    if (drain !== undefined) this.drainsBegun.note(drain.begunAt);
    return revision;
  }

  async #commit(transaction: Transaction): Promise<number | undefined> {
    const commit = await this.#options.store.commit(transaction);
    return commit.isDone ? commit.revision : undefined;
  }

  #note(writes: readonly Write[], revision: number): void {
    this.#wroteAt = revision;
    for (const write of writes) {
      const value = 'put' in write ? write.value : undefined;
      this.#written.set(keyOf(write), { value, revision });
    }
  }

  #revisionOf(key: string): number | undefined {
    const written = this.#written.get(key);
    if (written !== undefined) return written.value === undefined ? undefined : written.revision;
    return this.#base?.objects.get(key)?.revision;
  }

  #valueOf(key: string): string | undefined {
    const written = this.#written.get(key);
    return written === undefined ? this.#base?.objects.get(key)?.value : written.value;
  }

  #writtenUrl(key: string): string | undefined {
    const understood = this.#understood(key);
    return understood?.kind === 'backend' ? understood.object.url : undefined;
  }

  #writtenControl(key: string): ControlObject | undefined {
    const understood = this.#understood(key);
    return understood?.kind === 'control' ? understood.object : undefined;
  }

  #understood(key: string): Understood | undefined {
    const value = this.#valueOf(key);
    if (value === undefined) return undefined;
    const stored = { key, value, revision: 0, createdAt: 0 };
    try {
      return understand(stored, this.#options.keys);
    } catch {
      return undefined;
    }
  }
}

function nextIn(value: string): number | undefined {
  try {
    return z.object({ next: z.int().nonnegative() }).parse(JSON.parse(value)).next;
  } catch {
    return undefined;
  }
}

/** Ids from there on are each instance's own, for backends that are found. */
function givesTooMany({ put, value }: { put: string; value: string }, keys: StoreKeys): boolean {
  return put === keys.ids && (JSON.parse(value) as { next: number }).next > LOCAL_IDS;
}

function notShared(error: unknown, writeId: string): unknown {
  if (error instanceof StageLost) return new NotShared('partly', error.message, writeId);
  if (!(error instanceof StoreError)) return error;
  const { kind, message } = error;
  if (kind === 'outcome-unknown') return new NotShared('unknown', message, writeId);
  return new NotShared(kind === 'full' ? 'full' : 'unavailable', message);
}
