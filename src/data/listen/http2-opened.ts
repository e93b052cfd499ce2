/**
 * Requests that have come in what is being read, and go on once all of it has been: who calls one off in the same breath
 * (rapid reset, CVE-2023-44487, and its kin) has cost no backend anything.
 */
import type { Http2Stream } from './http2-stream.ts';

export class OpenedStreams {
  readonly #streams: Http2Stream[] = [];

  add(stream: Http2Stream): void {
    this.#streams.push(stream);
  }

  /** More comes on this one: it goes on by now. */
  proceed(stream: Http2Stream): void {
    const index = this.#streams.lastIndexOf(stream);
    if (index === -1) return;
    this.#streams.splice(index, 1);
    proceed(stream);
  }

  proceedAll(): void {
    const streams = this.#streams;
    if (streams.length === 0) return;
    for (const stream of streams) {
      proceed(stream);
      // What comes of its body may be in what has been read already.
      stream.flushBody();
    }
    streams.length = 0;
  }
}

/** The exchange goes on from its head: it asks a backend, or is answered. Null: the stream is over. */
function proceed(stream: Http2Stream): void {
  stream.exchange?.begin();
  if (stream.isRemoteEnded) stream.remoteEnded(null);
}
