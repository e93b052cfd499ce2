/**
 * Node's TLSWrap, the handle under a `tls.TLSSocket`, as far as it is used here: it encrypts what goes over a TCP handle.
 * What tcp-handles.ts says of its risks holds here too; see docs/decisions/0013-tls-on-the-handle.md.
 *
 * It differs from a TCP handle in this, on all releases it is used on:
 * - a second write while one is under way ends the process;
 * - no write is done at once: it is over in the next check phase, before JavaScript's immediates. `writeQueueSize` counts
 *   its bytes until then;
 * - an error that the system has at once is told within the write;
 * - when a write returns, its bytes have been encrypted or copied: their memory is free.
 */
import tls from 'node:tls';
import { isKnownHandle, type StreamRequest, type TcpHandle } from './tcp-handles.ts';

export interface TlsHandle {
  onread: (this: TlsHandle) => Uint8Array | undefined;
  /** A broken record, or whatever else OpenSSL says. */
  onerror: (this: TlsHandle, error: Error) => void;
  onhandshakedone: (this: TlsHandle) => void;
  /** At a client: a session that the next handshake may resume. */
  onnewsession: (this: TlsHandle, id: Buffer, session: Buffer) => void;
  /** What the encrypted bytes go through; kept for as long as it is in use. */
  carrier: TcpHandle;
  /** Encrypted bytes, until the write that they are of is over. */
  readonly writeQueueSize: number;
  useUserBuffer(buffer: Uint8Array): void;
  readStart(): number;
  readStop(): number;
  /** Takes bytes that have been read from the TCP handle before. */
  receive(bytes: Uint8Array): void;
  setALPNProtocols(protocols: Uint8Array): void;
  /** What the server has chosen of them; false: nothing. */
  getALPNNegotiatedProtocol(): string | false;
  /** At a server: an OCSP answer, for a client that asks for it. */
  setOCSPResponse(answer: Buffer): void;
  setVerifyMode(asksForCertificate: boolean, refuses: boolean): void;
  setServername(name: string): void;
  setSession(session: Buffer): void;
  enableSessionCallbacks(): void;
  /** Sends a client's hello. */
  start(): void;
  /** What is wrong with the peer's certificate, but for its names; null: nothing. */
  verifyError(): Error | null;
  /** Undefined: the peer has shown none. */
  getPeerCertificate(isWhole: boolean): tls.PeerCertificate | undefined;
  isSessionReused(): boolean;
  getProtocol(): string | null;
  /** The writes: 0, or a negative error and then nothing has begun. */
  writeLatin1String(request: StreamRequest, text: string): number;
  writeBuffer(request: StreamRequest, bytes: Uint8Array): number;
  writev(request: StreamRequest, pieces: readonly unknown[], areAllBuffers: boolean): number;
  shutdown(request: StreamRequest): number;
  destroySSL(): void;
}

type Wrap = (
  handle: TcpHandle,
  context: unknown,
  isServer: boolean,
  hasWriteUnderWay: boolean,
) => TlsHandle;

const METHODS: readonly (keyof TlsHandle)[] = [
  'useUserBuffer',
  'readStart',
  'readStop',
  'receive',
  'setALPNProtocols',
  'getALPNNegotiatedProtocol',
  'setOCSPResponse',
  'setVerifyMode',
  'setServername',
  'setSession',
  'enableSessionCallbacks',
  'start',
  'verifyError',
  'getPeerCertificate',
  'isSessionReused',
  'getProtocol',
  'writeLatin1String',
  'writeBuffer',
  'writev',
  'shutdown',
  'destroySSL',
];

let wrap: Wrap | null | undefined;

/** Whether TLS can run on TCP handles. Found out once, when it is first asked for. */
export function hasTlsHandles(): boolean {
  if (wrap === undefined) wrap = findWrap();
  return wrap !== null;
}

/**
 * A wrong number of arguments would end the process, so Node is watched while it makes a handle for a socket of its own:
 * ours are made in the same way, or not at all.
 */
function findWrap(): Wrap | null {
  let socket: tls.TLSSocket | undefined;
  try {
    const { binding } = process as unknown as { binding: (name: string) => { wrap: Wrap } };
    const tlsWrap = binding('tls_wrap');
    const { wrap: original } = tlsWrap;
    const context = tls.createSecureContext();
    let seen: readonly unknown[] = [];
    let handle: unknown;
    tlsWrap.wrap = (...all) => {
      seen = all;
      const made = original(...all);
      handle = made;
      return made;
    };
    try {
      socket = new tls.TLSSocket(undefined as never, { isServer: true, secureContext: context });
    } finally {
      tlsWrap.wrap = original;
    }
    const isAsExpected =
      seen.length === 4 &&
      isKnownHandle(seen[0]) &&
      seen[1] === context.context &&
      seen[2] === true &&
      seen[3] === false;
    return isAsExpected && isKnownTlsHandle(handle) ? original : null;
  } catch {
    // Under Node's permission model there is no way to it.
    return null;
  } finally {
    socket?.destroy();
  }
}

function isKnownTlsHandle(handle: unknown): boolean {
  if (typeof handle !== 'object' || handle === null) return false;
  const known = handle as Partial<Record<string, unknown>>;
  return (
    typeof known['writeQueueSize'] === 'number' &&
    METHODS.every((method) => typeof known[method] === 'function')
  );
}

/** Only where `hasTlsHandles`. The handle must have been read from, if at all, to its last byte, and nothing waits in it. */
export function wrapHandle(
  handle: TcpHandle,
  context: tls.SecureContext,
  isServer: boolean,
): TlsHandle {
  const wrapped = (wrap as Wrap)(handle, context.context, isServer, false);
  wrapped.carrier = handle;
  // Node frees what no JavaScript holds, also while it is in use, and then its bytes are for nobody. An open TCP handle is held
  // by Node itself.
  handle.cover = wrapped;
  return wrapped;
}

/** @param onSecure told of what TLS 1.3 sends behind its handshake too. */
export function listenTo(
  handle: TlsHandle,
  onFailed: TlsHandle['onerror'],
  onSecure: TlsHandle['onhandshakedone'],
): void {
  Object.assign(handle, { onerror: onFailed, onhandshakedone: onSecure });
}

/**
 * Within `onread`, at the peer's end, of a handle that is read: whether it was the TCP connection that has ended. With
 * close_notify, which the handle tells alike, that is still read, and the FIN comes later.
 */
export function hasEndedBelow({ carrier }: Pick<TlsHandle, 'carrier'>): boolean {
  // libuv stops reading at the end, and refuses to begin what is under way (UV_EALREADY).
  if (carrier.readStart() !== 0) return false;
  carrier.readStop();
  return true;
}

/** OpenSSL may be in the middle of a call into here: what it uses is freed when the TCP handle has closed. */
export function closeTls(handle: TlsHandle): void {
  handle.carrier.close(() => handle.destroySSL());
}

/** As `closeTls`, with a reset. */
export function resetTls(handle: TlsHandle): void {
  // Not possible in the middle of an end in order.
  if (handle.carrier.reset(() => handle.destroySSL()) !== 0) closeTls(handle);
}
