/**
 * Who is let in. A client takes one of the places of the process (`limits.client_connections`) and of its network
 * (`limits.connections_per_client`), and a file descriptor. Where places or descriptors are all taken, whoever is idle makes
 * room; where nobody is, the new client is closed at once.
 */
import { getSystemErrorName } from 'node:util';
import type { Scarce } from '../../snapshot/process-cells.ts';
import { clientNetwork } from '../limit/client-network.ts';
import type { DataContext } from '../relay/context.ts';
import { isTrusted, normalizeAddress } from './client-address.ts';
import type { IdleClients } from './idle-clients.ts';
import { PlacesLog } from './places-log.ts';

/** So long the thread stands still when it can't accept, and has nothing to give back: it would be told again at once. */
const PAUSE_MS = 1;
const pauseCell = new Int32Array(new SharedArrayBuffer(4));

export class Places {
  readonly #context: DataContext;
  readonly #idle: IdleClients;
  readonly #log: PlacesLog;

  /** @param idle those of this thread. */
  constructor(context: DataContext, idle: IdleClients) {
    this.#context = context;
    this.#idle = idle;
    this.#log = new PlacesLog(context);
  }

  /**
   * @param address of the peer, empty where it has none; asked for only where it counts.
   * @returns the client that it counts for, empty where clients are not counted; null when it is not let in.
   */
  admit(descriptor: number, address: () => string | undefined): string | null {
    const { counters, descriptors, view } = this.#context;
    const { limits } = view.snapshot;
    if (!descriptors.mayAdmit(descriptor)) return this.#refuse('descriptors');
    if (!counters.tryAcceptClient(limits.clientConnections)) {
      if (!this.#makePlace(limits.clientConnections)) return this.#refuse('limit');
      counters.acceptClient();
    }
    const peer = limits.connectionsPerClient === 0 ? '' : normalizeAddress(address());
    const network = this.countFor(peer);
    if (network === null) counters.clientClosed();
    return network;
  }

  /**
   * Of one that has been let in without an address: counts it for this one.
   * @returns as `admit`; null: it has to go, its place with it.
   */
  countFor(address: string): string | null {
    const { counters, clientConnections, view } = this.#context;
    const limit = view.snapshot.limits.connectionsPerClient;
    // A proxy in front of us holds the connections of many clients.
    if (limit === 0 || address === '' || isTrusted(view.trustedProxies, address)) return '';
    const network = clientNetwork(address);
    if (clientConnections.tryOpen(network, limit)) return network;
    counters.clientRefused('client');
    return null;
  }

  release(client: string): void {
    this.#context.counters.clientClosed();
    if (client !== '') this.#context.clientConnections.closed(client);
  }

  /** @returns whether one of this thread was idle. */
  closeIdle(scarce: Scarce): boolean {
    if (!this.#idle.closeOldest(this.#context.nowMs)) return false;
    this.#context.counters.idleClientClosed(scarce);
    this.#log.idleClosed(scarce);
    return true;
  }

  /** Says how many clients of this thread are idle, and sends its share away where there are more than there are places. */
  tick(nowMs: number): void {
    const { counters, view } = this.#context;
    const { clientConnections: limit } = view.snapshot.limits;
    // Where places are never short nobody asks, and to count them would cost each tick its time.
    counters.setIdleClients(limit === 0 ? 0 : this.#idle.count(nowMs));
    if (limit === 0) return;
    const share = counters.claimLeavers(limit);
    if (share === 0) return;
    const before = counters.ownClients;
    let closed = 0;
    while (closed < share && this.closeIdle('limit')) closed++;
    // The places of the others are given back later: until the next tick they count as claimed.
    const isLeaving = closed - (before - counters.ownClients);
    counters.settleLeavers(share - isLeaving);
  }

  /**
   * One that is idle in another thread makes room as well, at that thread's next tick; the limit is passed by it so long.
   * The place of one that was closed here may be given back later, too.
   */
  #makePlace(limit: number): boolean {
    if (this.closeIdle('limit')) return true;
    const { counters } = this.#context;
    return counters.idleClientsElsewhere > counters.clients - limit;
  }

  #refuse(scarce: Scarce): null {
    this.#context.counters.clientRefused(scarce);
    this.#log.refused(scarce);
    return null;
  }

  /** The system could not give us the connection. @param error as Node has it, or its code. */
  acceptFailed(error: number | string): void {
    const { counters } = this.#context;
    const reason = typeof error === 'string' ? error : getSystemErrorName(error);
    counters.acceptFailed();
    this.#log.acceptFailed(reason);
    if (!this.closeIdle('descriptors')) Atomics.wait(pauseCell, 0, 0, PAUSE_MS);
  }
}
