/**
 * What the store has under a prefix, kept up with it: read, watched, and read again whenever the watch has ended, and now and then
 * without a reason. Who acts on it looks again in the store itself.
 */

import type { RegistryStore, StoredObject, Watch } from '../cluster/registry-store.ts';
import { backOffMs, SYSTEM_TIMING, type Timing } from '../cluster/timing.ts';

const AGAIN_MS = 5 * 60_000;

export class StoreCopy {
  readonly #store: RegistryStore;
  readonly #prefix: string;
  readonly #onChange: () => void;
  readonly #timing: Timing;
  #objects = new Map<string, StoredObject>();
  #failures = 0;
  #isClosed = false;
  #endTurn: () => void = () => {};

  /** @param onChange told after each change, also of the first reading. */
  constructor(
    store: RegistryStore,
    prefix: string,
    onChange: () => void,
    timing: Timing = SYSTEM_TIMING,
  ) {
    this.#store = store;
    this.#prefix = prefix;
    this.#onChange = onChange;
    this.#timing = timing;
  }

  get objects(): ReadonlyMap<string, StoredObject> {
    return this.#objects;
  }

  /** Goes on by itself from then on. @throws StoreError: it could not be read. */
  async begin(): Promise<void> {
    const revision = await this.#read();
    void this.#run(revision);
  }

  close(): void {
    this.#isClosed = true;
    this.#endTurn();
  }

  async #read(): Promise<number> {
    const { revision, objects } = await this.#store.list(this.#prefix);
    if (this.#isClosed) return revision;
    this.#objects = new Map(objects.map((object) => [object.key, object]));
    this.#onChange();
    return revision;
  }

  async #run(revision: number): Promise<void> {
    await this.#follow(revision);
    while (!this.#isClosed) {
      try {
        await this.#follow(await this.#read());
      } catch {
        this.#failures++;
        await this.#pause(backOffMs(this.#failures, this.#timing.random()));
      }
    }
  }

  /** Resolves when it is to be read again. */
  async #follow(revision: number): Promise<void> {
    if (this.#isClosed) return;
    let hasFailed = false;
    const open: { watch?: Watch; callOff?: () => void } = {};
    await new Promise<void>((end) => {
      this.#endTurn = end;
      open.callOff = this.#timing.after(AGAIN_MS, end);
      open.watch = this.#store.watch(this.#prefix, revision, {
        started: () => {},
        changed: (changes) => {
          for (const { key, object } of changes) {
            if (object === undefined) this.#objects.delete(key);
            else this.#objects.set(key, object);
          }
          this.#onChange();
        },
        ended: ({ kind }) => {
          hasFailed = kind === 'failed';
          end();
        },
      });
    });
    open.callOff?.();
    open.watch?.close();
    this.#failures = hasFailed ? this.#failures + 1 : 0;
    if (hasFailed) await this.#pause(backOffMs(this.#failures, this.#timing.random()));
  }

  #pause(ms: number): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const callOff = this.#timing.after(ms, resolve);
      this.#endTurn = () => {
        callOff();
        resolve();
      };
    });
  }
}
