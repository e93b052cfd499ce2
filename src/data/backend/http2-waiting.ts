import type { ErrorCode } from '../../errors.ts';
import type { BackendStreamUser } from './backend-stream.ts';
import { told } from './http2-owned-stream.ts';
import type { Http2Stream } from './http2-stream.ts';

/** Those that wait for an HTTP/2 connection to open: nothing of them was sent. */
export class WaitingStreams {
  #streams: Http2Stream[] = [];

  [Symbol.iterator](): Iterator<Http2Stream> {
    return this.#streams[Symbol.iterator]();
  }

  add(stream: Http2Stream): void {
    this.#streams.push(stream);
  }

  delete(stream: Http2Stream): void {
    this.#streams = this.#streams.filter((one) => one !== stream);
  }

  /** They wait no more. */
  takeAll(): Http2Stream[] {
    const streams = this.#streams;
    this.#streams = [];
    return streams;
  }
}

/** There will be no connection for them. */
export function failWaiting(
  streams: readonly Http2Stream[],
  code: ErrorCode,
  detail: string,
): void {
  for (const stream of streams) told(stream, () => stream.user?.onConnectFailed(code, detail));
}

/** Those who wait on these streams, and go elsewhere. */
export function detached(streams: readonly Http2Stream[]): BackendStreamUser[] {
  return streams.flatMap((stream) => stream.detach() ?? []);
}
