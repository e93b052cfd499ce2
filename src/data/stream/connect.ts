/** Opens a connection to a host, with TLS if it is asked for. */
import net from 'node:net';
import tls from 'node:tls';
import type { ByteStream, StreamUser } from './byte-stream.ts';
import { SocketStream } from './socket-stream.ts';
import { descriptorOf, isKnownHandle, type TcpHandle } from './tcp-handles.ts';
import { TcpStream } from './tcp-stream.ts';
import type { ThreadIo } from './thread-io.ts';
import { hasTlsHandles } from './tls-handles.ts';
import {
  beginTls,
  encodeProtocols,
  type HandshakeTerms,
  type HandshakeUser,
} from './tls-handshake.ts';
import { TlsStream } from './tls-stream.ts';

export interface Destination {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
}

/** One of the two is called, once, unless the attempt is given up before. */
export interface ConnectUser extends StreamUser {
  /** Whether a connection that is being opened may have this file descriptor; else it fails with EMFILE. */
  mayHave(descriptor: number): boolean;
  onConnected(stream: ByteStream): void;
  onConnectFailed(error: Error): void;
}

export interface Connecting {
  /** Gives up, silently. */
  cancel(): void;
}

export function connect(destination: Destination, user: ConnectUser, io: ThreadIo): Connecting {
  const { host, port, tls: isTls } = destination;
  let stream: SocketStream | null = null;
  const options = {
    host,
    port,
    // Both address families are tried, the next one after 250 ms: RFC 8305. "localhost" may be ::1 or 127.0.0.1.
    autoSelectFamily: true,
    noDelay: true,
    allowHalfOpen: true,
    onread: {
      buffer: io.shared,
      callback: (length: number, buffer: Uint8Array) => {
        stream?.deliver(buffer as Buffer, length);
        return true;
      },
    },
  };
  const isTlsOfSocket = isTls && !hasTlsHandles();
  const socket = isTlsOfSocket
    ? tls.connect({
        ...options,
        ...(net.isIP(host) === 0 ? { servername: host } : {}),
        ALPNProtocols: [...PROTOCOLS],
      })
    : net.connect(options);
  let giveUp = (): void => {
    socket.destroy();
  };
  let isOver = false;
  const fail = (error: Error): void => {
    if (isOver) return;
    isOver = true;
    giveUp();
    try {
      user.onConnectFailed(error);
    } catch (exception) {
      user.onCrashed(exception);
    }
  };
  // The descriptor is there right behind the attempt: a burst of them must not have all before the first one has succeeded.
  const checkDescriptor = (): void => {
    if (!isOver && !user.mayHave(descriptorOf(socket))) fail(noDescriptor());
  };
  socket.on('connectionAttempt', () => process.nextTick(checkDescriptor));
  socket.on('error', fail);
  socket.on('close', () => fail(new Error('the connection closed')));
  const secure = (carrier: TcpHandle): void => {
    const handshake: HandshakeUser = {
      onHandshakeFailed: fail,
      onSecure: (handle) => {
        isOver = true;
        user.onConnected(new TlsStream(handle, user, io));
      },
      onCrashed: (error) => {
        isOver = true;
        user.onCrashed(error);
      },
    };
    giveUp = beginTls(carrier, terms(), destination, io, handshake);
  };
  socket.on(isTlsOfSocket ? 'secureConnect' : 'connect', () => {
    if (isOver) return;
    const handle = isTlsOfSocket ? null : takeHandle(socket);
    if (handle === null && isTls && !isTlsOfSocket) {
      fail(new Error('there is no handle for TLS to run on'));
      return;
    }
    isOver = !isTls || handle === null;
    try {
      if (handle === null) {
        stream = new SocketStream(socket, user, true);
        user.onConnected(stream);
      } else if (isTls) {
        secure(handle);
      } else {
        user.onConnected(new TcpStream(handle, user, io, false));
      }
    } catch (exception) {
      isOver = true;
      user.onCrashed(exception);
      if (handle !== null) handle.close();
      else socket.destroy();
    }
  });
  return {
    cancel: () => {
      isOver = true;
      giveUp();
    },
  };
}

const PROTOCOLS: readonly string[] = ['http/1.1'];
let ourTerms: HandshakeTerms | undefined;

/** The same for every backend, and dear to make: it holds the authorities that are trusted. */
function terms(): HandshakeTerms {
  ourTerms ??= { context: tls.createSecureContext(), protocols: encodeProtocols(PROTOCOLS) };
  return ourTerms;
}

/** There is one, but it is held back: see descriptors.ts. */
function noDescriptor(): Error {
  const message = 'the last file descriptors are held back for checks and the admin API';
  return Object.assign(new Error(message), { code: 'EMFILE' });
}

/** The socket has done its work, which was to find an address that answers: its handle is ours, and it is let go. */
export function takeHandle(socket: net.Socket): TcpHandle | null {
  const holder = socket as unknown as { _handle: unknown };
  const handle = holder._handle;
  if (!isKnownHandle(handle)) return null;
  holder._handle = null;
  handle.owner = null;
  return handle;
}
