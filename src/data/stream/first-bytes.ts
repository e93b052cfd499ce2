/** Waits for what a new connection says first, before anything is decided about what runs on it. */
import type net from 'node:net';
import { guarded, letGo, type Victim } from '../barrier.ts';
import { readResult, type TcpHandle } from './tcp-handles.ts';
import type { ThreadIo } from './thread-io.ts';

/** One of the two is called, once, unless the waiting is given up before. */
export interface FirstBytesUser extends Victim {
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
  const read = (result: number): void => {
    if (isOver || result === 0) return;
    if (result < 0) {
      close();
      user.onNothing();
      return;
    }
    isOver = true;
    handle.readStop();
    user.onFirstBytes(io.shared.subarray(0, result));
  };
  handle.onread = () => {
    guardFirstBytes(
      user,
      () => read(readResult()),
      () => handle.close(),
    );
    return undefined;
  };
  handle.useUserBuffer(io.shared);
  handle.readStart();
  return close;
}

/** As `awaitFirstBytes`. The bytes are back in the socket when they are told. */
export function awaitFirstBytesOfSocket(socket: net.Socket, user: FirstBytesUser): () => void {
  let isOver = false;
  const read = (): void => {
    const bytes = socket.read() as Buffer | null;
    if (isOver || bytes === null) return;
    isOver = true;
    socket.removeListener('readable', onReadable);
    socket.removeListener('close', onClose);
    socket.unshift(bytes);
    user.onFirstBytes(bytes);
  };
  const destroy = (): void => {
    socket.destroy();
  };
  const onReadable = (): void => guardFirstBytes(user, read, destroy);
  const onClose = (): void => {
    if (isOver) return;
    isOver = true;
    guarded(user, () => user.onNothing());
  };
  // Followed by its close. It stays; waiting again needs no other.
  if (socket.listenerCount('error') === 0) socket.on('error', () => {});
  socket.on('close', onClose);
  socket.on('readable', onReadable);
  return () => {
    isOver = true;
    socket.destroy();
  };
}

/** Whoever has the connection by then, it is closed if the step throws. */
function guardFirstBytes(user: FirstBytesUser, step: () => void, close: () => void): void {
  try {
    step();
  } catch (error) {
    user.onCrashed(error);
    letGo(close);
  }
}
