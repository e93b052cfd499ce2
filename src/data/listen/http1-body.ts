/** The body of one request in HTTP/1.1: where it ends on the connection, and its parts, which are told without their framing. */
import type { Exchange } from '../relay/exchange.ts';
import type { Upload } from '../relay/upload.ts';
import { CHUNK_DATA, CHUNK_DONE, CHUNK_FAILED, ChunkDecoder } from '../wire/chunked.ts';
import { forwardTrailer } from '../wire/forward-response.ts';
import { BODY_CHUNKED } from '../wire/framing.ts';
import type { HeadLimits } from '../wire/head-parser.ts';
import type { RequestFacts } from '../wire/request.ts';

/** Null: the request has none. @param limits of its trailers */
export function bodyOf(
  exchange: Exchange,
  facts: RequestFacts,
  limits: HeadLimits,
): Http1Body | null {
  const { upload } = exchange;
  return upload === null ? null : new Http1Body(exchange, upload, facts, limits);
}

/**
 * Hands `buffer[0, length)` to an exchange that wants it: of its body, or of its tunnel.
 * @returns the offset of the first byte that is not the exchange's.
 */
export function handOver(
  exchange: Exchange,
  body: Http1Body | null,
  buffer: Buffer,
  length: number,
): number {
  if (body !== null && exchange.isUploadOpen) return body.receive(buffer, 0, length);
  exchange.onClientBytes(buffer, 0, length);
  return length;
}

export class Http1Body {
  readonly #exchange: Exchange;
  readonly #upload: Upload;
  readonly #decoder: ChunkDecoder | null;
  /** Lower-case names of trailer fields that don't pass. */
  readonly #nominated: ReadonlySet<string> | null;
  #remaining: number;

  constructor(exchange: Exchange, upload: Upload, facts: RequestFacts, limits: HeadLimits) {
    this.#exchange = exchange;
    this.#upload = upload;
    this.#decoder = facts.bodyKind === BODY_CHUNKED ? new ChunkDecoder(limits) : null;
    this.#nominated = facts.nominated;
    this.#remaining = facts.contentLength;
  }

  /** @returns the offset of the first byte in `buffer[start, end)` that is not part of it, or not taken. */
  receive(buffer: Buffer, start: number, end: number): number {
    let position = start;
    if (this.#exchange.wantsClientBytes) {
      position =
        this.#decoder === null
          ? this.#receiveCounted(buffer, start, end)
          : this.#receiveChunks(this.#decoder, buffer, start, end);
    }
    this.#exchange.onBodyFlush();
    return position;
  }

  #receiveCounted(buffer: Buffer, start: number, end: number): number {
    const length = Math.min(end - start, this.#remaining);
    this.#remaining -= length;
    this.#upload.take(buffer, start, start + length);
    if (this.#remaining === 0) this.#upload.complete('');
    return start + length;
  }

  #receiveChunks(decoder: ChunkDecoder, buffer: Buffer, start: number, end: number): number {
    const upload = this.#upload;
    let position = start;
    while (position < end && upload.error === null) {
      const event = decoder.next(buffer, position, end);
      position = decoder.position;
      if (event === CHUNK_DATA) {
        upload.take(buffer, decoder.dataStart, decoder.dataEnd);
      } else if (event === CHUNK_DONE) {
        const { trailer } = decoder;
        upload.complete(trailer === null ? '' : forwardTrailer(trailer, this.#nominated));
        return position;
      } else if (event === CHUNK_FAILED) {
        upload.fail(decoder.error ?? 'ERR_BAD_CHUNK');
      }
    }
    return end;
  }
}
