/** Opens listeners on all data threads, or on none of them. */
import { overlap } from '../config/listener-overlap.ts';
import type { Logger } from '../observe/logger.ts';
import type { ListeningMessage } from '../snapshot/messages.ts';
import type { ListenerSnapshot } from '../snapshot/snapshot.ts';
import { probeAddress } from './probe-address.ts';
import type { ThreadPlace } from './thread-place.ts';
import { HandedSockets } from './upgrade/handed-sockets.ts';
import type { HandedListener } from './upgrade/handover.ts';

/** Listening failed: `code` is the system's, or `ERR_DATA_THREAD` where a thread died over it. */
export class ListenError extends Error {
  readonly code: string;
  readonly listener: ListenerSnapshot;
  /** No socket that was handed to the process has been touched. */
  areSocketsSpared = false;

  constructor(code: string, message: string, listener: ListenerSnapshot) {
    super(message);
    this.name = 'ListenError';
    this.code = code;
    this.listener = listener;
  }

  /** In the words of whoever has to mend it. */
  get reason(): string {
    const { address } = this.listener;
    if (this.code === 'EADDRINUSE') return 'the address is in use';
    if (address.kind !== 'tcp') return this.message;
    if (this.code === 'EADDRNOTAVAIL') return 'this machine has no such address';
    if (this.code === 'EACCES' && address.port < FIRST_FREE_PORT) {
      return `ports below ${FIRST_FREE_PORT} are for root and for whoever has CAP_NET_BIND_SERVICE (setcap, AmbientCapabilities=)`;
    }
    return this.message;
  }
}

const FIRST_FREE_PORT = 1024;

/** A thread that was asked, and has not answered yet. */
interface Waiting {
  readonly index: number;
  readonly listeners: readonly ListenerSnapshot[];
  readonly resolve: () => void;
  readonly reject: (error: ListenError) => void;
}

export class Listening {
  readonly #places: () => readonly ThreadPlace[];
  readonly #log: Logger;
  readonly #waiting = new Map<number, Waiting>();
  #sequence = 0;
  /** Port 0 is whatever the system gave the first thread. */
  readonly #ports = new Map<number, number>();
  /** By listener and thread: what is listened on. */
  readonly #descriptors = new Map<number, Map<number, readonly number[]>>();
  readonly #handedOn: HandedSockets;

  constructor(
    places: () => readonly ThreadPlace[],
    log: Logger,
    handedOn: HandedSockets = new HandedSockets(),
  ) {
    this.#places = places;
    this.#log = log;
    this.#handedOn = handedOn;
  }

  /** @param copies of a socket that others can't be opened beside, for as many threads as another process may have. */
  toHandOn(listeners: readonly ListenerSnapshot[], copies: number): HandedListener[] {
    const isShared = this.#places().length > 1;
    return listeners.flatMap((listener) => {
      const { id, name, address, descriptor } = listener;
      const descriptors = Array.from(this.#descriptors.get(id)?.values() ?? []).flat();
      const [first] = descriptors;
      if (first === undefined) return [];
      const isInherited = descriptor !== -1;
      const isAlone = !isInherited && (this.#handedOn.isAlone(name) ?? !isShared);
      const isPort = address.kind === 'tcp' && !isInherited;
      const wanted = isAlone && isPort ? Array.from({ length: copies }, () => first) : descriptors;
      return [{ name, descriptors: wanted, isAlone, isInherited }];
    });
  }

  /** With the ports that they have got. */
  withPorts(listeners: readonly ListenerSnapshot[]): readonly ListenerSnapshot[] {
    return listeners.map((listener) => {
      const { address } = listener;
      const port = this.#ports.get(listener.id);
      if (address.kind !== 'tcp' || address.port !== 0 || port === undefined) return listener;
      return { ...listener, address: { ...address, port } };
    });
  }

  /**
   * @param besides those that are open, and may be about to be closed.
   * @throws ListenError; then none of them is open anywhere.
   */
  async open(
    listeners: readonly ListenerSnapshot[],
    besides: readonly ListenerSnapshot[],
  ): Promise<void> {
    const [first, ...others] = this.#places() as [ThreadPlace, ...ThreadPlace[]];
    const handed: ListenerSnapshot[] = [];
    const own: ListenerSnapshot[] = [];
    for (const listener of listeners) {
      const handedOn = this.#handedOn.take(listener, this.#places().length);
      if (handedOn !== undefined) handed.push({ ...listener, handedOn });
      else if (listener.descriptor !== -1) handed.push(listener);
      else own.push(listener);
    }
    let areSpared = true;
    try {
      if (others.length > 0) {
        for (const listener of own) await probe(listener, besides);
      }
      await this.#openOn(first, own);
      await this.#openOnAll(others, this.withPorts(own));
      // Those that are gone when they are closed come last: nothing else can fail by then.
      areSpared = false;
      await this.#openOnAll(this.#places(), handed);
    } catch (error) {
      this.#abandon(listeners);
      if (error instanceof ListenError) error.areSocketsSpared = areSpared;
      throw error;
    }
  }

  async #openOnAll(
    places: readonly ThreadPlace[],
    listeners: readonly ListenerSnapshot[],
  ): Promise<void> {
    await Promise.all(places.map((place) => this.#openOn(place, listeners)));
  }

  #abandon(listeners: readonly ListenerSnapshot[]): void {
    const ids = listeners.map(({ id }) => id);
    for (const place of this.#places()) place.post({ kind: 'unlisten', ids });
    for (const id of ids) this.#ports.delete(id);
  }

  #openOn(place: ThreadPlace, listeners: readonly ListenerSnapshot[]): Promise<void> {
    if (listeners.length === 0) return Promise.resolve();
    const { index } = place;
    const sequence = ++this.#sequence;
    return new Promise((resolve, reject) => {
      this.#waiting.set(sequence, { index, listeners, resolve, reject });
      if (place.isEmpty) this.died(index, `data thread ${index} does not run`);
      else place.post({ kind: 'listen', sequence, listeners });
    });
  }

  receive(index: number, { sequence, opened, failed }: ListeningMessage): void {
    const waiting = this.#waiting.get(sequence);
    this.#waiting.delete(sequence);
    for (const { id, port, descriptors } of opened) {
      this.#ports.set(id, port);
      const byThread = this.#descriptors.get(id) ?? new Map<number, readonly number[]>();
      this.#descriptors.set(id, byThread.set(index, descriptors));
    }
    const [failure] = failed;
    if (waiting === undefined) {
      // A replacement: somebody took an address in the moment that it was free.
      for (const { code, message } of failed) {
        const text = `data thread ${index} can't listen: ${message}`;
        this.#log.error('data_thread.listen_failed', text, { thread: index, code });
      }
      if (failure !== undefined) this.#places()[index]?.listenLater();
    } else if (failure === undefined) {
      waiting.resolve();
    } else {
      const { id, code, message } = failure;
      const listener = waiting.listeners.find((one) => one.id === id) as ListenerSnapshot;
      waiting.reject(new ListenError(code, message, listener));
    }
  }

  /** Who waits for an answer of this thread gets none. */
  died(index: number, message: string): void {
    for (const byThread of this.#descriptors.values()) byThread.delete(index);
    for (const [sequence, waiting] of this.#waiting) {
      if (waiting.index !== index) continue;
      this.#waiting.delete(sequence);
      const [listener] = waiting.listeners as [ListenerSnapshot];
      waiting.reject(new ListenError('ERR_DATA_THREAD', message, listener));
    }
  }
}

/**
 * Threads that share a port would share it with a foreign process too, without an error: so it is asked for without
 * sharing first. Not where one of ours has it.
 */
async function probe(
  listener: ListenerSnapshot,
  besides: readonly ListenerSnapshot[],
): Promise<void> {
  const { address } = listener;
  if (address.kind !== 'tcp') return;
  const { host, port } = address;
  if (besides.some((open) => overlap(open.address, address))) return;
  await probeAddress(host, port).catch((error: NodeJS.ErrnoException) => {
    throw new ListenError(error.code ?? 'ERR_LISTEN', error.message, listener);
  });
}
