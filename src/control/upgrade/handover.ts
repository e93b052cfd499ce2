/** What a process says to the one that takes its place: over the channel that Node opens between them. */

/** In the environment of the new one: it is to wait for what it gets. Taken out before anything else reads it. */
export const UPGRADE_VARIABLE = 'FAIRLEAD_UPGRADE';

/** The sockets of one listener, as the new process has them. */
export interface HandedListener {
  /** As `nameOfListener` calls its address. */
  readonly name: string;
  readonly descriptors: readonly number[];
  /** It is one socket, as often as the new process may have threads: others can't be opened beside it. */
  readonly isAlone: boolean;
  /** It was open before the first of these processes, and is whoever's who has opened it. */
  readonly isInherited: boolean;
}

export interface Handover {
  readonly kind: 'handover';
  readonly listeners: readonly HandedListener[];
  /** Null: the admin API is not listened on. */
  readonly admin: HandedListener | null;
  /** What operators have changed, as in the state file. */
  readonly state: string;
  /** What was found out about backends, as known-backends.ts has it. Older versions say nothing of it. */
  readonly backends?: string;
  /** What the sources of backends have answered last, as discovery/list-format.ts has it. Older versions say nothing of it. */
  readonly lists?: string;
  /** What the tables of clients count from, as known-clients.ts has it: who says so can be asked for what is in them. Secret. */
  readonly clientsOrigin?: string;
}

/** The answer to `clients?`. */
export interface HandedClients {
  readonly kind: 'clients';
  /** As known-clients.ts has them. */
  readonly clients: string;
}

/** It is about to listen, and wants to know of the clients; it listens, and has all that it wants; or it can't. */
export type FromSuccessor =
  | { readonly kind: 'clients?' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly reason: string };

/** Another process has our place: it is the one to ask. */
export class HandedOver extends Error {
  override readonly name = 'HandedOver';

  constructor() {
    super('Another process has taken over; this one ends.');
  }
}
