/**
 * A change that one transaction has no room for. It is written in several, and run on at once: while the key `staged` is there, instances see that a change
 * is on its way, and go on with what they have; the last transaction takes it away.
 *
 * Whoever writes it may die in between. So the key goes with a lease, and what is there by then is run on: each object of it is valid by itself,
 * and what it lacks can be written again. Each transaction rests on the head that the one before has written, so that
 * nobody else writes in between.
 */
import { randomUUID } from 'node:crypto';
import { type Condition, type RegistryStore, StoreError, type Write } from './registry-store.ts';
import { valueOf } from './shared-objects.ts';
import type { StoreKeys } from './store-keys.ts';

/** Of one transaction, beside what goes with each. */
export const MOST_WRITES = 100;
const LEASE_MS = 10_000;

export interface StagedChange {
  /** What others need comes before them, and goes after them. The same ones, whichever id they bear. */
  readonly writes: (writeId: string) => readonly Write[];
  readonly epoch: string;
  /** The revision of the head that it was made from. */
  readonly head: number;
  /** Who writes it, and by what it can be asked for. */
  readonly instance: string;
  readonly writeId?: string;
}

const WRITTEN = {
  first: 'maybe a part of it was written',
  last: 'a part of it was written, and maybe the rest',
  known: 'only a part of it was written',
} as const;

/** A part of the change is in force, or may be, and the rest was not written, or may not have been. */
export class StageLost extends Error {
  override readonly name = 'StageLost';

  /** @param noAnswer the part that was asked for, where no answer came. */
  constructor(why: string, noAnswer?: 'first' | 'last') {
    super(`${WRITTEN[noAnswer ?? 'known']} (${why}); it is run on`);
  }
}

/**
 * In one transaction where there is room.
 * @returns its last revision; undefined: it rests on what is not so any more, and nothing was written.
 * @throws StageLost: as much as was written by then is run on soon. StoreError: nothing was written, or that is not known of the only part
 */
export async function commitStaged(
  store: RegistryStore,
  keys: StoreKeys,
  { writes: writesOf, epoch, head, instance, writeId = randomUUID() }: StagedChange,
): Promise<number | undefined> {
  const writes = writesOf(writeId);
  const headOf = (id: string): Write => ({
    put: keys.head,
    value: valueOf({ write: id, instance }),
  });
  const same: Condition = { key: keys.epoch, value: epoch };
  const notStaged: Condition = { key: keys.staged, isAbsent: true };
  if (writes.length <= MOST_WRITES) {
    const conditions = [same, notStaged, { key: keys.head, revision: head }];
    const commit = await store.commit({ conditions, writes: [...writes, headOf(writeId)] });
    return commit.isDone ? commit.revision : undefined;
  }
  const lease = await store.lease({ ttlMs: LEASE_MS });
  try {
    // Only the last part is what can be asked for: a half is not "made".
    const idOfParts = `${writeId}/parts`;
    const earlier = writesOf(idOfParts);
    const staged: Write = { put: keys.staged, value: writeId, lease: lease.id };
    let at = head;
    for (let from = 0; from < writes.length; from += MOST_WRITES) {
      const isFirst = from === 0;
      const isLast = from + MOST_WRITES >= writes.length;
      const id = isLast ? writeId : idOfParts;
      const part = (isLast ? writes : earlier).slice(from, from + MOST_WRITES);
      const transaction = {
        conditions: [
          same,
          isFirst ? notStaged : { key: keys.staged, value: writeId },
          { key: keys.head, revision: at },
        ],
        writes: [
          ...part,
          headOf(id),
          ...(isFirst ? [staged] : []),
          ...(isLast ? [{ remove: keys.staged }] : []),
        ],
      };
      const commit = await store.commit(transaction).catch((error: unknown) => {
        if (!(error instanceof StoreError)) throw error;
        const isUnknown = error.kind === 'outcome-unknown';
        if (isFirst && !isUnknown) throw error;
        const noAnswer = isFirst ? 'first' : 'last';
        throw new StageLost(error.message, isUnknown && (isFirst || isLast) ? noAnswer : undefined);
      });
      if (!commit.isDone && isFirst) return undefined;
      if (!commit.isDone) {
        const isStaged = lease.isHeld() && commit.found.some(({ key }) => key === keys.staged);
        throw new StageLost(isStaged ? 'somebody else has changed the store' : 'it took too long');
      }
      at = commit.revision;
    }
    return at;
  } finally {
    // Where it was not done: nobody waits for the rest of it.
    await lease.release();
  }
}
