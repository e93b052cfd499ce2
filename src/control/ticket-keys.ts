/**
 * The keys that session tickets of TLS are sealed with (RFC 8446 §4.6.1, RFC 5077): one set for all data threads, so that a
 * client resumes whichever of them takes its next connection, and also after one of them has been replaced.
 *
 * They live in memory only. A new set comes every 12 hours: who learns one can read no more than that of what was resumed
 * without a fresh key exchange. Node takes one set at a time, so tickets of the set before are not accepted any more, and a
 * client that shows one pays a whole handshake, once. A ticket is good for 5 minutes anyway. In a cluster they are the same at all
 * instances, and one of those makes new ones.
 */
import { randomBytes } from 'node:crypto';

export const TICKET_KEYS_ROTATION_MS = 12 * 3600 * 1000;
/** What Node asks for: a name, a key that signs and one that encrypts, 16 bytes each. */
export const TICKET_KEYS_BYTES = 48;

export class TicketKeys {
  #current: Uint8Array = randomBytes(TICKET_KEYS_BYTES);
  readonly #timer: NodeJS.Timeout;
  readonly #onRotated: (keys: Uint8Array) => void;

  constructor(onRotated: (keys: Uint8Array) => void) {
    this.#onRotated = onRotated;
    this.#timer = setInterval(() => {
      this.#current = randomBytes(TICKET_KEYS_BYTES);
      onRotated(this.#current);
    }, TICKET_KEYS_ROTATION_MS);
    this.#timer.unref();
  }

  /** These from now on, and whoever gives them sees to new ones. */
  take(keys: Uint8Array): void {
    this.stop();
    this.#current = keys;
    this.#onRotated(keys);
  }

  get current(): Uint8Array {
    return this.#current;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
