/**
 * Session tickets that are renewed whenever one is used (RFC 8446 §4.6.1): a client of TLS 1.3 shows each but once. Node
 * gives none to a client that resumes, so after two visits it would pay for a whole handshake again. Where the callback of
 * its context is not what we know, that is how it stays.
 */
import { randomBytes } from 'node:crypto';
import type { SecureContext } from 'node:tls';

/** The parts of a set of keys, one after the other: RFC 5077 §4 with the sizes of OpenSSL. */
const PART_BYTES = 16;

const IS_UNKNOWN = 0;
const IS_GOOD = 1;
const IS_GOOD_BUT_RENEW = 2;

/** What the ticket is sealed or opened with, in the order that Node states. */
type TicketKey = readonly [result: number, hmac: Buffer, aes: Buffer, name: Buffer, iv: Buffer];

interface NativeContext {
  enableTicketKeyCallback?: () => void;
  onticketkeycallback?: (name: Buffer, iv: Buffer, isSealing: boolean) => TicketKey;
}

/** Where Node says that the parts of a `TicketKey` stand. */
const PLACES: Readonly<Record<string, number>> = {
  kTicketKeyReturnIndex: 0,
  kTicketKeyHMACIndex: 1,
  kTicketKeyAESIndex: 2,
  kTicketKeyNameIndex: 3,
  kTicketKeyIVIndex: 4,
};

/** @param keys as the `ticketKeys` that the context was made with. */
export function renewTickets({ context }: SecureContext, keys: Buffer): void {
  const native = context as NativeContext;
  const type = native.constructor as unknown as Readonly<Record<string, unknown>>;
  const isKnown = Object.entries(PLACES).every(([name, place]) => type[name] === place);
  if (!isKnown || typeof native.enableTicketKeyCallback !== 'function') return;
  const part = (index: number): Buffer =>
    keys.subarray(index * PART_BYTES, (index + 1) * PART_BYTES);
  const [ourName, hmac, aes] = [part(0), part(1), part(2)];
  native.onticketkeycallback = (name, iv, isSealing) => {
    if (isSealing) return [IS_GOOD, hmac, aes, ourName, randomBytes(PART_BYTES)];
    return [name.equals(ourName) ? IS_GOOD_BUT_RENEW : IS_UNKNOWN, hmac, aes, name, iv];
  };
  native.enableTicketKeyCallback();
}
