/** A value that parts of the page look at. */
import { useLayoutEffect, useState } from 'preact/hooks';

export class Store<Value> {
  #value: Value;
  readonly #watchers = new Set<() => void>();

  constructor(value: Value) {
    this.#value = value;
  }

  get now(): Value {
    return this.#value;
  }

  set(value: Value): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const watcher of this.#watchers) watcher();
  }

  /** @returns ends it. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }
}

/** Draws the component anew when the value is another one. */
export function useStore<Value>(store: Store<Value>): Value {
  const [, redraw] = useState({});
  useLayoutEffect(() => {
    const seen = store.now;
    const stop = store.watch(() => redraw({}));
    // It may have changed between drawing and now.
    if (!Object.is(seen, store.now)) redraw({});
    return stop;
  }, [store]);
  return store.now;
}
