/**
 * Open connections of single clients, exact across the data threads.
 *
 * An entry of the table holds one count per thread, and what a client has open is their sum. So the share of a thread that
 * died can be given back without asking anybody what it was (`giveBackClientShare` in snapshot/client-table.ts), and no
 * thread ever writes to the count of another.
 *
 * An entry is kept for as long as it counts something: it is never evicted. A client whose bucket is full of others who
 * are connected is let in uncounted: to refuse it would punish it for their number. That begins to happen to one in a
 * thousand at about 16,000 clients at a time, and the limit on the connections of the whole process holds for all of them.
 */
import { ClientTable, NO_ENTRY } from '../../snapshot/client-table.ts';
import { hashText } from '../balance/hash.ts';

export class ClientConnections {
  readonly #table: ClientTable;
  readonly #threadIndex: number;
  /** Of this thread, by client: those for whom the table had no room. */
  readonly #uncounted = new Map<string, number>();

  constructor(memory: SharedArrayBuffer, threadIndex: number) {
    this.#table = new ClientTable(memory);
    this.#threadIndex = threadIndex;
  }

  /**
   * Takes one of `limit` connections (0: no limit) of this client; false when it has them all.
   * @param client see `clientNetwork`.
   */
  tryOpen(client: string, limit: number): boolean {
    const table = this.#table;
    const { seedA, seedB, epochMs } = table;
    // Entries of this table don't expire: no clock is asked.
    const entry = table.acquire(hashText(client, seedA), hashText(client, seedB), epochMs);
    if (entry === NO_ENTRY) {
      this.#uncounted.set(client, (this.#uncounted.get(client) ?? 0) + 1);
      return true;
    }
    const isAllowed = limit === 0 || table.sum(entry) < limit;
    if (isAllowed) {
      table.set(entry, this.#threadIndex, table.get(entry, this.#threadIndex) + 1);
      table.keep(entry);
    }
    table.release();
    return isAllowed;
  }

  /** One that `tryOpen` has let in is closed. */
  closed(client: string): void {
    const uncounted = this.#uncounted.get(client);
    if (uncounted !== undefined) {
      if (uncounted === 1) this.#uncounted.delete(client);
      else this.#uncounted.set(client, uncounted - 1);
      return;
    }
    const table = this.#table;
    const { seedA, seedB, epochMs } = table;
    const entry = table.find(hashText(client, seedA), hashText(client, seedB), epochMs);
    if (entry === NO_ENTRY) return;
    const open = table.get(entry, this.#threadIndex);
    if (open > 0) table.set(entry, this.#threadIndex, open - 1);
    if (table.sum(entry) === 0) table.free(entry);
    table.release();
  }
}
