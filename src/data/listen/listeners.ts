/** All listeners of a thread, and what they share: the places of clients, and who of these makes room or leaves. */
import type {
  FailedListener,
  ListeningMessage,
  OpenedListener,
  StandInMessage,
} from '../../snapshot/messages.ts';
import { isOpenedBy, type ListenerSnapshot } from '../../snapshot/snapshot.ts';
import { guarded } from '../barrier.ts';
import type { DataContext } from '../relay/context.ts';
import { DRAIN_IDLE_MS, drainTurns } from './drain-turns.ts';
import { IdleClients, type MayBeIdle, NEVER } from './idle-clients.ts';
import { Listener, type ListenerHost } from './listener.ts';
import type { OpenClient } from './open-client.ts';
import { Places } from './places.ts';

export class Listeners implements ListenerHost {
  readonly context: DataContext;
  readonly places: Places;
  readonly #reusePort: boolean;
  #ticketKeys: Uint8Array;
  readonly #open = new Map<number, Listener>();
  /** They accept nobody any more, and have clients yet. */
  readonly #leaving = new Set<Listener>();
  /** It has been told to listen: what a snapshot has more is opened without being asked for. */
  #hasBegun = false;
  #onEmpty: (() => void) | null = null;
  /** While it drains: when those who have said nothing by then go. */
  #silentUntilMs = NEVER;

  constructor(context: DataContext, reusePort: boolean, ticketKeys: Uint8Array) {
    this.context = context;
    this.#reusePort = reusePort;
    this.#ticketKeys = ticketKeys;
    this.places = new Places(context, new IdleClients(() => this.#clients()));
    context.heldMemory.watch(() => this.#connections());
  }

  /** Opens those of them that are not open, and are for this thread to open. */
  async open(
    listeners: readonly ListenerSnapshot[],
  ): Promise<Pick<ListeningMessage, 'opened' | 'failed'>> {
    this.#hasBegun = true;
    const opened: OpenedListener[] = [];
    const failed: FailedListener[] = [];
    for (const spec of this.#missing(listeners)) {
      try {
        opened.push(await this.#openOne(spec));
      } catch (error) {
        const { code = 'UNKNOWN', message } = error as NodeJS.ErrnoException;
        failed.push({ id: spec.id, code, message });
      }
    }
    return { opened, failed };
  }

  #missing(listeners: readonly ListenerSnapshot[]): ListenerSnapshot[] {
    const { threadIndex, threadCount } = this.context;
    return listeners.filter(
      (spec) => !this.#open.has(spec.id) && isOpenedBy(spec, threadIndex, threadCount),
    );
  }

  async #openOne(spec: ListenerSnapshot): Promise<OpenedListener> {
    const listener = new Listener(this, spec, this.#ticketKeys);
    this.#open.set(spec.id, listener);
    try {
      return await listener.listen(
        this.#reusePort,
        spec.handedOn?.[this.context.threadIndex] ?? [],
      );
    } catch (error) {
      this.#open.delete(spec.id);
      listener.close();
      throw error;
    }
  }

  /**
   * What a snapshot has no more is closed, and what is said of the others holds from now on.
   * @returns whether it has some that are not open, though they should be.
   */
  update(listeners: readonly ListenerSnapshot[]): boolean {
    const specs = new Map(listeners.map((spec) => [spec.id, spec]));
    for (const [id, listener] of this.#open) {
      const spec = specs.get(id);
      if (spec === undefined) this.#close(listener);
      else listener.update(spec);
    }
    return this.#hasBegun && this.#missing(listeners).length > 0;
  }

  close(ids: readonly number[]): void {
    for (const id of ids) {
      const listener = this.#open.get(id);
      if (listener !== undefined) this.#close(listener);
    }
  }

  /** Idle clients go; requests that are under way are answered. */
  #close(listener: Listener): void {
    this.#open.delete(listener.id);
    this.#leaving.add(listener);
    listener.close();
    listener.sendAway();
  }

  /** @returns the descriptors that are open now, of those that another thread listens on */
  async standIn({ forThread, sockets }: StandInMessage): Promise<number[]> {
    const open: number[] = [];
    if (this.context.isDraining) return open;
    for (const { listenerId, descriptors } of sockets) {
      const listener = this.#open.get(listenerId);
      if (listener !== undefined) {
        open.push(...(await listener.acceptors.standIn(forThread, descriptors)));
      }
    }
    return open;
  }

  endStandIn(forThread: number): void {
    for (const listener of this.#open.values()) listener.acceptors.endStandIn(forThread);
  }

  setTicketKeys(keys: Uint8Array): void {
    this.#ticketKeys = keys;
    for (const listener of this.#all()) listener.setTicketKeys(keys);
  }

  tick(nowMs: number): void {
    const { barrier, heldMemory } = this.context;
    for (const listener of this.#all()) listener.tick(nowMs);
    for (const listener of this.#leaving) if (listener.isEmpty) this.#leaving.delete(listener);
    barrier.run('the end of a drain', () => this.#tickDrain(nowMs));
    barrier.run('the tick of places', () => this.places.tick(nowMs));
    barrier.run('the weighing of memory', () => heldMemory.weigh());
  }

  /** Another process or thread listens on the same sockets: what files they have is for it to remove. */
  leaveFiles(): void {
    for (const listener of this.#open.values()) listener.acceptors.leaveFile();
  }

  /** Makes room for something else that needs a descriptor. @returns whether a client was idle */
  makeRoom(): boolean {
    return this.places.closeIdle('descriptors');
  }

  /**
   * Accepts nobody any more; idle connections are closed one after the other in the first half of the time; calls back
   * once the last connection is gone. Who is in the middle of a handshake or a PROXY header is heard to its end.
   */
  drain(durationMs: number, onEmpty: () => void): void {
    for (const listener of this.#open.values()) listener.close();
    if (this.#isEmpty) {
      onEmpty();
      return;
    }
    this.#onEmpty = onEmpty;
    this.#silentUntilMs = this.context.nowMs + Math.min(DRAIN_IDLE_MS, durationMs / 2);
    const { firstMs, stepMs } = drainTurns(durationMs, this.#connectionCount);
    let turnMs = firstMs;
    for (const connection of this.#connections()) {
      guarded(connection, () => {
        if (connection.beginDrain(turnMs)) turnMs += stepMs;
      });
    }
  }

  /** Cuts every connection. @returns how many clients have lost something by it. */
  destroy(): number {
    let cut = 0;
    for (const listener of this.#all()) cut += listener.destroy();
    return cut;
  }

  /** Of those on their way nobody says that they are gone. */
  #tickDrain(nowMs: number): void {
    if (this.#onEmpty === null) return;
    if (this.#silentUntilMs <= nowMs) for (const listener of this.#all()) listener.endSilent(nowMs);
    this.onForgotten();
  }

  onForgotten(): void {
    if (this.#onEmpty === null || !this.#isEmpty) return;
    const onEmpty = this.#onEmpty;
    this.#onEmpty = null;
    onEmpty();
  }

  *#all(): Generator<Listener> {
    yield* this.#open.values();
    yield* this.#leaving;
  }

  *#clients(): Generator<MayBeIdle> {
    for (const listener of this.#all()) yield* listener.clients();
  }

  *#connections(): Generator<OpenClient> {
    for (const listener of this.#all()) yield* listener.connections();
  }

  /** Nobody is connected, nor on the way. */
  get #isEmpty(): boolean {
    for (const listener of this.#all()) if (!listener.isEmpty) return false;
    return true;
  }

  get #connectionCount(): number {
    let count = 0;
    for (const listener of this.#all()) count += listener.connectionCount;
    return count;
  }
}
