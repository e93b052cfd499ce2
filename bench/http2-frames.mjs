/**
 * HTTP/2 frame by frame, as far as clients and backends of the bench need it (RFC 9113 §4.1). Heads are written without Huffman and,
 * but where it says so, without a table (RFC 7541 §6.2.2); those that come are not read.
 */
export const DATA = 0;
export const HEADERS = 1;
export const PRIORITY = 2;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;
export const PADDED = 8;

export const HEADER_TABLE_SIZE = 1;
export const ENABLE_PUSH = 2;
export const MAX_CONCURRENT_STREAMS = 3;
export const INITIAL_WINDOW_SIZE = 4;
export const MAX_FRAME_SIZE = 5;

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const FRAME_HEADER_BYTES = 9;

/** @param {number} value of 32 bits */
export function uint32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** @param {Uint8Array} [payload] */
export function frame(type, flags, streamId, payload = Buffer.alloc(0)) {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, payload]);
}

/** What a frame with PADDED holds. @param {number} padding its bytes; below 0: there is none, nor PADDED */
export function padded(payload, padding) {
  if (padding < 0) return payload;
  return Buffer.concat([Buffer.of(padding), payload, Buffer.alloc(padding)]);
}

/** @param {readonly (readonly [id: number, value: number])[]} pairs */
export function settings(pairs = []) {
  const payload = Buffer.alloc(6 * pairs.length);
  for (const [index, [id, value]] of pairs.entries()) {
    payload.writeUInt16BE(id, 6 * index);
    payload.writeUInt32BE(value, 6 * index + 2);
  }
  return frame(SETTINGS, 0, 0, payload);
}

/** A string (RFC 7541 §5.2), behind its length (§5.1). */
export function literal(text) {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest > 127; rest >>>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.of(...length, rest), bytes]);
}

/** A header block. @param {readonly (readonly [name: string, value: string])[]} fields */
export function block(fields) {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.of(0), literal(name), literal(value)]),
  );
}

/** The fields of a request. */
export function request(path, { method = 'GET', scheme = 'http', fields = [] } = {}) {
  return [
    [':method', method],
    [':scheme', scheme],
    [':authority', '127.0.0.1'],
    [':path', path],
    ...fields,
  ];
}

/** Makes frames of bytes as they come. */
export class FrameSplitter {
  #rest = Buffer.alloc(0);

  /** @returns {{ type: number, flags: number, streamId: number, payload: Buffer }[]} those that are whole now */
  push(bytes) {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const frames = [];
    let at = 0;
    while (all.length - at >= FRAME_HEADER_BYTES) {
      const end = at + FRAME_HEADER_BYTES + all.readUIntBE(at, 3);
      if (end > all.length) break;
      frames.push({
        type: all[at + 3],
        flags: all[at + 4],
        streamId: all.readUInt32BE(at + 5),
        payload: all.subarray(at + FRAME_HEADER_BYTES, end),
      });
      at = end;
    }
    this.#rest = all.subarray(at);
    return frames;
  }
}
