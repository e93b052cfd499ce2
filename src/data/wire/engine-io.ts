/**
 * The handshake of engine.io, the transport of socket.io (engine.io protocol, revisions 3 and 4): the first request of a
 * session by polling names none, and the body of its answer does, as every later request of it (`sid=`).
 */
import { queryValue } from './request-key.ts';

export function asksForHandshake(path: string): boolean {
  return queryValue(path, 'transport') === 'polling' && queryValue(path, 'EIO') !== null;
}

/**
 * An "open" packet, `0{"sid":"…",…}`: alone in revision 4, behind its length in revision 3, and with its quotes escaped
 * where it is an argument of JSONP. `sid` is the first member as a rule, but nobody has promised that.
 */
const OPEN = /0\{[^{}]*?\\?"sid\\?"\s*:\s*\\?"([^"\\]{1,256})\\?"/;

/** The session as later requests name it, where `body`, or as much of it as has come, does. */
export function sessionOfHandshake(body: string): string | null {
  const sid = OPEN.exec(body)?.[1];
  return sid === undefined ? null : encodeURIComponent(sid);
}
