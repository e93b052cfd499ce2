/** Opens listeners on all data threads, or on none of them. */
import { overlap } from '../../config/compile/listener-overlap.ts';
import type { Logger } from '../../observe/logger.ts';
import type { ListeningMessage, StandingInMessage } from '../../snapshot/messages.ts';
import { isOpenedBy, type ListenerSnapshot } from '../../snapshot/snapshot.ts';
import { KeptSockets } from '../threads/kept-sockets.ts';
import { LentSockets } from '../threads/lent-sockets.ts';
import type { SocketCopy } from '../threads/socket-copies.ts';
import { StandIns } from '../threads/stand-ins.ts';
import type { ThreadPlace } from '../threads/thread-place.ts';
import { HandedSockets } from '../upgrade/handed-sockets.ts';
import type { HandedListener } from '../upgrade/handover.ts';
import { probeAddress } from './probe-address.ts';

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

export interface ListeningOptions {
  readonly places: () => readonly ThreadPlace[];
  /** Those in force. */
  readonly listeners: () => readonly ListenerSnapshot[];
  /** Threads have sockets of their own, which go with them. */
  readonly areWorkers: boolean;
  readonly log: Logger;
  readonly handedOn: HandedSockets | undefined;
  /** The socket that was handed to the process for it is gone. */
  readonly onLost: (listener: ListenerSnapshot) => void;
}

export class Listening {
  readonly #options: ListeningOptions;
  readonly #waiting = new Map<number, Waiting>();
  /** By message, the replacement that was asked to listen. */
  readonly #returning = new Map<number, number>();
  #sequence = 0;
  /** Port 0 is whatever the system gave the first thread. */
  readonly #ports = new Map<number, number>();
  /** By listener and thread: what is listened on. */
  readonly #descriptors = new Map<number, Map<number, readonly number[]>>();
  readonly #handedOn: HandedSockets;
  readonly #kept: KeptSockets;
  readonly #lent = new LentSockets();
  readonly #standIns: StandIns;

  constructor(options: ListeningOptions) {
    const { places, listeners, log, handedOn = new HandedSockets() } = options;
    this.#options = options;
    this.#handedOn = handedOn;
    this.#kept = new KeptSockets(log);
    this.#standIns = new StandIns({
      places,
      listeners,
      kept: this.#kept,
      lent: this.#lent,
      nextSequence: () => ++this.#sequence,
    });
  }

  get #places(): readonly ThreadPlace[] {
    return this.#options.places();
  }

  /** @param copies of a socket that others can't be opened beside, for as many threads as another process may have. */
  toHandOn(listeners: readonly ListenerSnapshot[], copies: number): HandedListener[] {
    const isShared = this.#places.length > 1;
    return listeners.flatMap((listener) => {
      const { id, name, address, descriptor } = listener;
      // A thread may be gone, and what is kept of it may not.
      const byThread = new Map([
        ...(this.#descriptors.get(id) ?? []),
        ...this.#kept.descriptorsOf(id),
      ]);
      const descriptors = Array.from(byThread.values()).flat();
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
    const [first, ...others] = this.#places as [ThreadPlace, ...ThreadPlace[]];
    const handed: ListenerSnapshot[] = [];
    const own: ListenerSnapshot[] = [];
    for (const listener of listeners) {
      const handedOn = this.#handedOn.take(listener, this.#places.length);
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
      await this.#openOnAll(this.#places, handed);
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
    for (const id of ids) this.#kept.close(id);
    for (const place of this.#places) place.post({ kind: 'unlisten', ids });
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

  async receive(index: number, { sequence, opened, failed }: ListeningMessage): Promise<void> {
    const waiting = this.#waiting.get(sequence);
    this.#waiting.delete(sequence);
    const isReturning = this.#returning.delete(sequence);
    for (const { id, port, sockets } of opened) {
      this.#ports.set(id, port);
      const byThread = this.#descriptors.get(id) ?? new Map<number, readonly number[]>();
      const descriptors = sockets.map(({ descriptor }) => descriptor);
      this.#descriptors.set(id, byThread.set(index, descriptors));
    }
    const descriptors = opened.flatMap(({ sockets }) => sockets.map((one) => one.descriptor));
    this.#lent.answered(sequence, descriptors);
    const [failure] = failed;
    if (waiting === undefined) {
      // A replacement: somebody took an address in the moment that it was free.
      for (const { code, message } of failed) {
        const text = `data thread ${index} can't listen: ${message}`;
        this.#options.log.error('data_thread.listen_failed', text, { thread: index, code });
      }
      if (failure !== undefined) this.#places[index]?.listenLater();
      else if (isReturning) this.#standIns.returned(index);
    }
    if (this.#options.areWorkers) {
      await Promise.all(opened.map(({ id, sockets }) => this.#kept.keep(id, index, sockets)));
    }
    if (failure === undefined) {
      waiting?.resolve();
    } else if (waiting !== undefined) {
      const { id, code, message } = failure;
      const listener = waiting.listeners.find((one) => one.id === id) as ListenerSnapshot;
      waiting.reject(new ListenError(code, message, listener));
    }
  }

  /** A replacement listens where the thread before it did: on the same sockets, as far as they are kept. */
  async listenAgain(index: number): Promise<void> {
    const place = this.#places[index] as ThreadPlace;
    const { restarts } = place;
    const copies = new Map<number, readonly SocketCopy[]>();
    for (const { id } of this.#options.listeners()) {
      const some = await this.#kept.copiesOf(id, index);
      if (some !== undefined) copies.set(id, some);
    }
    const all = Array.from(copies.values()).flat();
    if (place.isEmpty || place.restarts !== restarts) {
      // It has died meanwhile, and another one asks for itself.
      for (const copy of all) copy.close();
      return;
    }
    const sequence = ++this.#sequence;
    this.#lent.lend(sequence, index, all);
    this.#returning.set(sequence, index);
    this.#lose(index, (id) => copies.has(id));
    const handedOn = (id: number): readonly (readonly number[])[] =>
      this.#places.map((one) =>
        one === place ? (copies.get(id) ?? []).map(({ descriptor }) => descriptor) : [],
      );
    const listeners = this.#options
      .listeners()
      .map((listener) => ({ ...listener, handedOn: handedOn(listener.id) }));
    place.post({ kind: 'listen', sequence, listeners });
  }

  standingIn({ sequence, descriptors }: StandingInMessage): void {
    this.#lent.answered(sequence, descriptors);
  }

  /** It accepts nobody any more, and finishes what it has. */
  retiring(index: number): void {
    this.#standIns.left(index);
  }

  /** Who waits for an answer of this thread gets none. */
  died(index: number, message: string): void {
    this.#lent.died(index);
    for (const [sequence, thread] of this.#returning) {
      if (thread === index) this.#returning.delete(sequence);
    }
    for (const byThread of this.#descriptors.values()) byThread.delete(index);
    for (const [sequence, waiting] of this.#waiting) {
      if (waiting.index !== index) continue;
      this.#waiting.delete(sequence);
      const [listener] = waiting.listeners as [ListenerSnapshot];
      waiting.reject(new ListenError('ERR_DATA_THREAD', message, listener));
    }
    this.#lose(index, (id) => this.#kept.has(id, index));
    this.#standIns.died(index);
  }

  /** Those that no snapshot has any more are closed by the threads. */
  keepOnly(listeners: readonly ListenerSnapshot[]): void {
    this.#kept.closeAllBut(listeners);
  }

  /** A descriptor that was handed to us is closed with the thread that had it: without a copy there is no other one. */
  #lose(index: number, hasCopy: (listenerId: number) => boolean): void {
    for (const listener of this.#options.listeners()) {
      const isTheirs =
        listener.descriptor !== -1 && isOpenedBy(listener, index, this.#places.length);
      if (isTheirs && !hasCopy(listener.id)) this.#options.onLost(listener);
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
