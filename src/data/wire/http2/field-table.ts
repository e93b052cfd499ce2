/**
 * A dynamic table of HPACK (RFC 7541 §2.3.2, §4): a ring, the newest entry first. What it holds is the user's business, who reads
 * fields, or writes them.
 */
export interface TableEntry {
  /** RFC 7541 §4.1. */
  readonly size: number;
}

const LEAST_PLACES = 8;

export class FieldTable<Entry extends TableEntry> {
  /** Entries that were ever added: a number for each, by which it can be found while it is there. */
  added = 0;
  #count = 0;
  #size = 0;
  #maxSize: number;
  /** A power of two, and no more of them than were needed: most connections have few entries. */
  #ring: (Entry | null)[] = [];

  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  get maxSize(): number {
    return this.#maxSize;
  }

  /** @param index 0: the newest. @returns null: there is none. */
  get(index: number): Entry | null {
    if (index >= this.#count) return null;
    return this.#ring[(this.added - 1 - index) & (this.#ring.length - 1)] as Entry;
  }

  /** Evicts what has to go. One that is larger than the table empties it, and is not added (RFC 7541 §4.4). */
  add(entry: Entry): void {
    this.#evict(this.#maxSize - entry.size);
    if (entry.size > this.#maxSize) return;
    if (this.#count === this.#ring.length) this.#grow();
    this.#ring[this.added & (this.#ring.length - 1)] = entry;
    this.added++;
    this.#count++;
    this.#size += entry.size;
  }

  resize(maxSize: number): void {
    this.#maxSize = maxSize;
    this.#evict(maxSize);
  }

  #evict(size: number): void {
    while (this.#size > size && this.#count > 0) {
      const place = (this.added - this.#count) & (this.#ring.length - 1);
      this.#size -= (this.#ring[place] as Entry).size;
      this.#ring[place] = null;
      this.#count--;
    }
  }

  #grow(): void {
    const old = this.#ring;
    const places = Math.max(LEAST_PLACES, old.length * 2);
    const ring: (Entry | null)[] = Array.from({ length: places }, () => null);
    for (let number = this.added - this.#count; number < this.added; number++) {
      ring[number & (places - 1)] = old[number & (old.length - 1)] as Entry;
    }
    this.#ring = ring;
  }
}
