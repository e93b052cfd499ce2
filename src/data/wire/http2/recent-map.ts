/**
 * A map that is bounded, and forgets what was not of use lately: two generations, the older of which goes, but for what has been
 * used since.
 */
export interface Recent {
  /** Set by whoever uses it, in what way ever. */
  isUsed: boolean;
  onForgotten(): void;
}

export class RecentMap<Value extends Recent> {
  readonly #generation: number;
  #young: Map<string, Value> = new Map();
  #old: Map<string, Value> = new Map();

  /** @param generation it holds so many values at least, and twice as many at most. */
  constructor(generation: number) {
    this.#generation = generation;
  }

  get(key: string): Value | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  set(key: string, value: Value): void {
    if (this.#young.size >= this.#generation) this.#turn();
    this.#young.set(key, value);
  }

  clear(): void {
    for (const value of this.#old.values()) value.onForgotten();
    for (const value of this.#young.values()) value.onForgotten();
    this.#old = new Map();
    this.#young = new Map();
  }

  #turn(): void {
    const kept = new Map<string, Value>();
    for (const [key, value] of this.#old) {
      // At most half of it, or there would be no room for anything new.
      if (value.isUsed && kept.size * 2 < this.#generation) {
        value.isUsed = false;
        kept.set(key, value);
      } else {
        value.onForgotten();
      }
    }
    this.#old = this.#young;
    this.#young = kept;
  }
}
