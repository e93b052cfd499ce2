/** Waits for what a new connection says first, before anything is decided about what runs on it. */
import type net from 'node:net';
import { readResult, type TcpHandle } from './tcp-handles.ts';
import type { ThreadIo } from './thread-io.ts';

/** One of the two is called, once, unless the waiting is given up before. */
export interface FirstBytesUser {
  /** They are borrowed. The connection is not read any more. */
  onFirstBytes(bytes: Buffer): void;
  /** It has ended or broken without a byte, and is closed. */
  onNothing(): void;
}

/** @returns what gives it up and closes the connection, silently. */
export function awaitFirstBytes(handle: TcpHandle, io: ThreadIo, user: FirstBytesUser): () => void {
  let isOver = false;
  const close = (): void => {
    if (isOver) return;
    isOver = true;
    handle.close();
  };
  handle.onread = () => {
    const result = readResult();
    if (isOver || result === 0) return undefined;
    if (result < 0) {
      close();
      user.onNothing();
      return undefined;
    }
    isOver = true;
    handle.readStop();
    user.onFirstBytes(io.shared.subarray(0, result));
    return undefined;
  };
  handle.useUserBuffer(io.shared);
  handle.readStart();
  return close;
}

/** As `awaitFirstBytes`. The bytes are back in the socket when they are told. */
export function awaitFirstBytesOfSocket(socket: net.Socket, user: FirstBytesUser): () => void {
  let isOver = false;
  const onReadable = (): void => {
    const bytes = socket.read() as Buffer | null;
    if (isOver || bytes === null) return;
    isOver = true;
    socket.removeListener('readable', onReadable);
    socket.removeListener('close', onClose);
    socket.unshift(bytes);
    user.onFirstBytes(bytes);
  };
  const onClose = (): void => {
    if (isOver) return;
    isOver = true;
    user.onNothing();
  };
  socket.on('error', () => {});
  socket.on('close', onClose);
  socket.on('readable', onReadable);
  return () => {
    isOver = true;
    socket.destroy();
  };
}
