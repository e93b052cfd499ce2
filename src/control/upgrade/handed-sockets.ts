/** The sockets that the process before this one has listened on: each goes to a listener of the same address, or is closed. */
import { closeSync } from 'node:fs';
import { isOpenedBy, type ListenerSnapshot } from '../../snapshot/snapshot.ts';
import type { HandedListener } from './handover.ts';

export class HandedSockets {
  readonly #listeners: Map<string, HandedListener>;
  /** Nobody has them yet. */
  readonly #left: Set<number>;

  constructor(listeners: readonly HandedListener[] = []) {
    this.#listeners = new Map(listeners.map((one) => [one.name, one]));
    this.#left = new Set(listeners.flatMap(({ descriptors }) => descriptors));
  }

  /** Whether others can't be opened beside those of this listener. */
  isAlone(name: string): boolean | undefined {
    return this.#listeners.get(name)?.isAlone;
  }

  /** By thread; undefined: there are none for this listener, or they have been given. */
  take(listener: ListenerSnapshot, threadCount: number): number[][] | undefined {
    const found = this.#listeners.get(listener.name);
    if (found === undefined || found.isInherited) return undefined;
    const given = found.descriptors.filter((descriptor) => this.#left.has(descriptor));
    if (given.length === 0) return undefined;
    const threads = Array.from({ length: threadCount }, (_, index) => index);
    const openers = threads.filter((index) => isOpenedBy(listener, index, threadCount));
    // One socket is enough for a thread; of several, none may be left in nobody's hands, with clients in its queue.
    const used = found.isAlone ? given.slice(0, openers.length) : given;
    for (const descriptor of used) this.#left.delete(descriptor);
    return threads.map((index) => {
      const place = openers.indexOf(index);
      return used.filter((_, turn) => turn % openers.length === place);
    });
  }

  /** For whoever needs one. −1: there is none. */
  takeOne(name: string): number {
    const descriptor = this.#listeners.get(name)?.descriptors.find((one) => this.#left.has(one));
    if (descriptor === undefined) return -1;
    this.#left.delete(descriptor);
    return descriptor;
  }

  /** Those that somebody opens by another way. */
  get inherited(): { readonly descriptor: number; readonly name: string }[] {
    const theirs = Array.from(this.#listeners.values()).filter(({ isInherited }) => isInherited);
    return theirs.flatMap(({ name, descriptors }) => {
      const [descriptor] = descriptors;
      if (descriptor === undefined) return [];
      this.#left.delete(descriptor);
      return [{ descriptor, name: name.replace(/^fd:/, '') }];
    });
  }

  /** An address that nobody listens on any more must not look as if somebody did. */
  closeLeft(): void {
    for (const descriptor of this.#left) closeSync(descriptor);
    this.#left.clear();
  }
}
