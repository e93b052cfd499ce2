/** Which listener is which: one whose address stays is the same one, whatever else about it changes. Ids are never reused. */

import type { ListenerSettings } from '../../config/settings.ts';
import { nameOfListener } from '../../config/values/listener-name.ts';
import type { ListenerAddress, ListenerSnapshot } from '../../snapshot/snapshot.ts';
import { buildTlsSnapshot, type TlsExtras } from '../certificates/tls-snapshot.ts';
import type { InheritedSockets } from './inherited-sockets.ts';

export class ListenerIds {
  #known = new Map<string, number>();
  #next = 0;
  readonly #inherited: InheritedSockets;
  readonly #descriptors = new Map<string, number>();

  constructor(inherited: InheritedSockets) {
    this.#inherited = inherited;
  }

  /** Those that are new get an id, and have it once they are in force. */
  snapshotsOf(listeners: readonly ListenerSettings[], extras: TlsExtras): ListenerSnapshot[] {
    return listeners.map((listener) => {
      const { address, tls, proxyProtocol, httpsPort, http2, h2c } = listener;
      const name = nameOfListener(address);
      return {
        id: this.#idOf(name),
        name,
        address,
        descriptor: this.#descriptorOf(name, address),
        tls: tls && buildTlsSnapshot(tls, http2, extras),
        proxyProtocol,
        httpsPort,
        h2c,
      };
    });
  }

  /**
   * These are in force: what is not among them is gone, and another one if it comes back.
   * @param areSocketsSpared it was never opened, and what was handed to the process for it may be had again.
   */
  keepOnly(listeners: readonly ListenerSettings[], areSocketsSpared = false): void {
    const names = new Set(listeners.map(({ address }) => nameOfListener(address)));
    for (const name of this.#known.keys()) {
      if (names.has(name)) continue;
      this.#known.delete(name);
      const descriptor = this.#descriptors.get(name);
      if (areSocketsSpared && descriptor !== undefined) this.#inherited.giveBack(descriptor);
      this.#descriptors.delete(name);
    }
  }

  /** One that has been opened on a descriptor has it as long as it is there. */
  #descriptorOf(name: string, address: ListenerAddress): number {
    const known = this.#descriptors.get(name);
    if (known !== undefined) return known;
    const descriptor = this.#inherited.take(address);
    if (descriptor !== -1) this.#descriptors.set(name, descriptor);
    return descriptor;
  }

  #idOf(name: string): number {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const id = this.#next++;
    this.#known.set(name, id);
    return id;
  }
}
