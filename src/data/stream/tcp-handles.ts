/**
 * Node's own TCP handles, as far as they are used here: what lies below `net.Socket`. They are not documented, so whether
 * they are what we know is found out before one is used (`tcpHandles`), and everything works without them, only slower.
 * See docs/decisions/0004-tcp-handles.md.
 */
import type net from 'node:net';
import { getSystemErrorName } from 'node:util';

/** A write, or the shutdown of the writing side, that the system has not finished at once. */
export interface StreamRequest {
  oncomplete: ((this: StreamRequest, status: number) => void) | null;
  /** Node ≥ 26: set if it was finished before `oncomplete` could be. */
  readonly writeStatus?: number | null;
}

export interface TcpHandle {
  onread: (this: TcpHandle) => Uint8Array | undefined;
  readonly writeQueueSize: number;
  readonly fd: number;
  owner?: unknown;
  /** What its bytes go through: see `wrapHandle`. */
  cover?: unknown;
  useUserBuffer(buffer: Uint8Array): void;
  readStart(): number;
  readStop(): number;
  writeLatin1String(request: StreamRequest | null, text: string): number | StreamRequest;
  writeBuffer(request: StreamRequest | null, bytes: Uint8Array): number | StreamRequest;
  writev(
    request: StreamRequest | null,
    pieces: readonly unknown[],
    areAllBuffers: boolean,
  ): number | StreamRequest;
  shutdown(request: StreamRequest): number;
  close(onClosed?: () => void): void;
  reset(onClosed?: () => void): number;
  setNoDelay(enable: boolean): number;
  setKeepAlive(enable: boolean, idleSeconds: number): number;
  getpeername(out: AddressOut): number;
  getsockname(out: AddressOut): number;
}

export interface AddressOut {
  address?: string;
  port?: number;
}

interface StreamWrap {
  readonly WriteWrap: new () => StreamRequest;
  readonly ShutdownWrap: new () => StreamRequest;
  /** Where the last call or callback left its numbers. */
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kBytesWritten: number;
  readonly kLastWriteWasAsync: number;
  /** Node ≥ 26: there a write makes its request itself, when it needs one. */
  readonly kLastWriteErr?: number;
}

const METHODS: readonly (keyof TcpHandle)[] = [
  'useUserBuffer',
  'readStart',
  'readStop',
  'writeLatin1String',
  'writeBuffer',
  'writev',
  'shutdown',
  'close',
  'reset',
  'setNoDelay',
  'setKeepAlive',
  'getpeername',
  'getsockname',
];

/** The releases whose handles this was written for and is tested with. */
const FIRST_MAJOR = 20;
const LAST_MAJOR = 26;

function findStreamWrap(): StreamWrap | null {
  const major = Number.parseInt(process.versions.node, 10);
  if (major < FIRST_MAJOR || major > LAST_MAJOR) return null;
  try {
    const { binding } = process as unknown as { binding?: (name: string) => Partial<StreamWrap> };
    const wrap = binding?.('stream_wrap');
    const isKnown =
      typeof wrap?.WriteWrap === 'function' &&
      typeof wrap.ShutdownWrap === 'function' &&
      wrap.streamBaseState instanceof Int32Array &&
      Number.isInteger(wrap.kReadBytesOrError) &&
      Number.isInteger(wrap.kBytesWritten) &&
      Number.isInteger(wrap.kLastWriteWasAsync);
    return isKnown ? (wrap as StreamWrap) : null;
  } catch {
    // Under Node's permission model there is no way to it.
    return null;
  }
}

const streamWrap = findStreamWrap();

/** Whether `handle` is a TCP handle as we know it. */
export function isKnownHandle(handle: unknown): handle is TcpHandle {
  if (streamWrap === null || typeof handle !== 'object' || handle === null) return false;
  const known = handle as Partial<Record<string, unknown>>;
  return METHODS.every((method) => typeof known[method] === 'function');
}

/** Without it no handle is known, and nothing below is called: see `isKnownHandle`. */
const found = streamWrap as StreamWrap;
const state: Int32Array = streamWrap?.streamBaseState ?? new Int32Array(0);
const READ_RESULT = streamWrap?.kReadBytesOrError ?? 0;
const BYTES_WRITTEN = streamWrap?.kBytesWritten ?? 0;
const WAS_ASYNC = streamWrap?.kLastWriteWasAsync ?? 0;
const LAST_ERROR = streamWrap?.kLastWriteErr ?? -1;

/** The peer's address; undefined when it is gone. */
export function peerAddress(handle: TcpHandle): string | undefined {
  const out: AddressOut = {};
  return handle.getpeername(out) === 0 ? out.address : undefined;
}

/** What a read results in at the peer's end: libuv's UV_EOF. */
export const END_OF_FILE = -4095;

/** Of one of Node's own sockets, over TLS too; -1: it has none, or it is not known. */
export function descriptorOf(socket: net.Socket): number {
  const handle = (socket as unknown as { readonly _handle?: { readonly fd?: number } | null })
    ._handle;
  return handle?.fd ?? -1;
}

/** Within `onread`: the number of bytes read, or a negative error. */
export function readResult(): number {
  return state[READ_RESULT] as number;
}

/** Given to every write until one needs it: a write that the system takes at once leaves it untouched. */
let spareRequest: StreamRequest | null =
  streamWrap === null || LAST_ERROR !== -1 ? null : new found.WriteWrap();

/** What a write came to: see `writeText`. */
export type WriteResult = number | StreamRequest;

/** @returns 0 when all of it has left, a negative error, or the request that tells when the rest has. */
export function writeText(handle: TcpHandle, text: string): WriteResult {
  return settled(handle.writeLatin1String(spareRequest, text));
}

/** The bytes must stay as they are until all of them have left. @returns as `writeText`. */
export function writeBuffer(handle: TcpHandle, bytes: Uint8Array): WriteResult {
  return settled(handle.writeBuffer(spareRequest, bytes));
}

/** On a connection on which nothing was written: a few bytes, which the system takes at once, or never will. */
export function writeFirst(handle: TcpHandle, bytes: Uint8Array): void {
  const result = writeBuffer(handle, bytes);
  if (typeof result !== 'number') result.oncomplete = () => {};
}

/** Latin-1 texts and buffers in one system call. @returns as `writeText`. */
export function writePieces(handle: TcpHandle, pieces: readonly (string | Buffer)[]): WriteResult {
  return settled(handle.writev(spareRequest, withEncodings(pieces), false));
}

/** As `writev` wants them. */
export function withEncodings(pieces: readonly (string | Buffer)[]): readonly unknown[] {
  const all: unknown[] = [];
  for (const piece of pieces) all.push(piece, typeof piece === 'string' ? 'latin1' : 'buffer');
  return all;
}

function settled(result: number | StreamRequest): WriteResult {
  if (typeof result !== 'number') {
    const error = state[LAST_ERROR] as number;
    return error === 0 ? result : error;
  }
  if (result !== 0 || state[WAS_ASYNC] === 0) return result;
  const request = spareRequest as StreamRequest;
  spareRequest = new found.WriteWrap();
  return request;
}

/** For handles on which no write is done at once. */
export function makeWriteRequest(): StreamRequest {
  return new found.WriteWrap();
}

/** Of the last write, whether they have left or wait. */
export function bytesOfLastWrite(): number {
  return state[BYTES_WRITTEN] as number;
}

/** Sends FIN once everything that waits has left, and calls back later. */
export function shutdown(handle: Pick<TcpHandle, 'shutdown'>, onDone: () => void): void {
  const request = new found.ShutdownWrap();
  request.oncomplete = onDone;
  // 1: done already. An error means that there is nobody left to tell.
  if (handle.shutdown(request) !== 0) process.nextTick(onDone);
}

/** `read ECONNRESET`: as Node words it. */
export function describeError(call: 'read' | 'write', error: number): string {
  return `${call} ${getSystemErrorName(error)}`;
}
