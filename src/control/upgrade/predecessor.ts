/** The process that this one is to take the place of, seen from the new one. */

import type { ClientTablesOrigin } from '../../snapshot/client-table.ts';
import type { OperatorState } from '../state/operator-state.ts';
import { decodeState } from '../state/state-format.ts';
import { HandedSockets } from './handed-sockets.ts';
import {
  type FromSuccessor,
  type HandedClients,
  type Handover,
  UPGRADE_VARIABLE,
} from './handover.ts';
import { KnownBackends } from './known-backends.ts';
import { readOrigin } from './known-clients.ts';

/** Whoever starts us says what it has to say at once. */
const HANDOVER_MS = 10_000;
/** To be without what it knows of clients is better than not to be there. */
const CLIENTS_MS = 2_000;

export class Predecessor {
  readonly sockets: HandedSockets;
  readonly admin: HandedSockets;
  /** What operators have changed; undefined: this version can't read it. */
  readonly state: OperatorState | undefined;
  readonly backends: KnownBackends;
  /** Undefined: its tables of clients are not known. */
  readonly clientsOrigin: ClientTablesOrigin | undefined;
  /** What the sources of backends have answered it last; undefined: it says nothing of it. */
  readonly lists: string | undefined;

  private constructor(handover: Handover) {
    const { listeners, admin, state, backends, clientsOrigin, lists } = handover;
    this.sockets = new HandedSockets(listeners);
    this.admin = new HandedSockets(admin === null ? [] : [admin]);
    const decoded = decodeState(state);
    this.state = decoded.kind === 'read' ? decoded.state : undefined;
    this.backends = new KnownBackends(backends);
    this.clientsOrigin = readOrigin(clientsOrigin);
    this.lists = lists;
  }

  /** Undefined: we were not started by one. */
  static async find(env: NodeJS.ProcessEnv): Promise<Predecessor | undefined> {
    const isExpected = env[UPGRADE_VARIABLE] !== undefined;
    delete env[UPGRADE_VARIABLE];
    if (!isExpected || process.send === undefined) return undefined;
    const handover = await new Promise<Handover>((resolve, reject) => {
      const fail = (): void => reject(new Error('the process that started this one said nothing'));
      const timer = setTimeout(fail, HANDOVER_MS);
      process.once('disconnect', fail);
      process.once('message', (message: Handover) => {
        clearTimeout(timer);
        process.off('disconnect', fail);
        resolve(message);
      });
    });
    return new Predecessor(handover);
  }

  /** What it knows of clients by now; undefined: nothing of which this version can make use. */
  async clients(): Promise<string | undefined> {
    if (this.clientsOrigin === undefined || !process.connected) return undefined;
    const answer = new Promise<string | undefined>((resolve) => {
      const timer = setTimeout(resolve, CLIENTS_MS, undefined);
      const settle = (clients: string | undefined): void => {
        clearTimeout(timer);
        process.off('disconnect', gone);
        resolve(clients);
      };
      const gone = (): void => settle(undefined);
      process.once('disconnect', gone);
      process.once('message', ({ clients }: HandedClients) => settle(clients));
    });
    await say({ kind: 'clients?' });
    return answer;
  }

  /** What nobody wanted: whoever comes by it must not think that somebody is there. */
  closeLeft(): void {
    this.sockets.closeLeft();
    this.admin.closeLeft();
  }

  /** It may go. Should it have gone already, that is as good. */
  async ready(): Promise<void> {
    await say({ kind: 'ready' });
    if (process.connected) process.disconnect();
  }

  async failed(reason: string): Promise<void> {
    await say({ kind: 'failed', reason });
  }
}

function say(message: FromSuccessor): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) resolve();
    else process.send(message, undefined, {}, () => resolve());
  });
}
