/** A map that is bounded, and forgets what was not asked for of late: two generations, the older of which goes as a whole. */
export class RecentMap<Value> {
  readonly #generation: number;
  readonly #onForgotten: (value: Value) => void;
  #young: Map<string, Value> = new Map();
  #old: Map<string, Value> = new Map();

  /** @param generation it holds so many values at least, and twice as many at most. */
  constructor(generation: number, onForgotten: (value: Value) => void) {
    this.#generation = generation;
    this.#onForgotten = onForgotten;
  }

  get(key: string): Value | undefined {
    const value = this.#young.get(key);
    if (value !== undefined) return value;
    const older = this.#old.get(key);
    if (older === undefined) return undefined;
    this.#old.delete(key);
    this.set(key, older);
    return older;
  }

  set(key: string, value: Value): void {
    if (this.#young.size >= this.#generation) {
      for (const forgotten of this.#old.values()) this.#onForgotten(forgotten);
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }
}
