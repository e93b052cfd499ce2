/** What the codes of Node, llhttp, undici and OpenSSL mean for whoever has asked, and what to look at: of the command line's own requests. */

export interface ConnectionFault {
  /** What came of it, in words. */
  readonly reason: string;
  readonly hint: string;
}

const NO_TLS: ConnectionFault = {
  reason: 'what came back is no TLS',
  hint: 'is it http:// that is spoken there?',
};
const NO_HTTP: ConnectionFault = {
  reason: 'what came back is no HTTP/1.1',
  hint: 'is it another service that listens there?',
};
const HUNG_UP: ConnectionFault = {
  reason: 'the connection was closed without an answer',
  hint: 'is it https:// that is spoken there?',
};
const NO_ADDRESS: ConnectionFault = {
  reason: 'the name leads to no address',
  hint: 'is it written right?',
};

/** Undefined: the code says it, or nothing is known of it. */
export function connectionFault(
  code: unknown,
  isTls: boolean,
  message = '',
): ConnectionFault | undefined {
  if (typeof code !== 'string') return undefined;
  // An alert of TLS, which says what is wrong, has the same code.
  const isNoTls = code === 'EPROTO' && /wrong version number|packet length too long/.test(message);
  if (isNoTls || /^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$/.test(code)) {
    return NO_TLS;
  }
  if (code.startsWith('HPE_')) return NO_HTTP;
  if (/^(ECONNRESET|UND_ERR_SOCKET)$/.test(code) && !isTls) return HUNG_UP;
  if (code === 'ENOTFOUND') return NO_ADDRESS;
  return undefined;
}
