/** A server of HTTP/2 that says whatever its script wants, byte by byte: for what servers that behave never send. */

import {
  DATA,
  END_HEADERS,
  END_STREAM,
  type Frame,
  frame,
  HEADERS,
  PREFACE,
  SETTINGS,
} from './http2-frames.ts';
import { rawBackend } from './raw-backend.ts';
import type { RawClient } from './raw-client.ts';

/** Pairs of id and value. */
export function settings(...pairs: (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(6 * pairs.length);
  for (const [index, [id, value]] of pairs.entries()) {
    payload.writeUInt16BE(id, 6 * index);
    payload.writeUInt32BE(value, 6 * index + 2);
  }
  return frame(SETTINGS, 0, 0, payload);
}

/** A header block of literals that are never indexed (RFC 7541 §6.2.3): each field as it is given. */
export function block(...fields: (readonly [name: string, value: string])[]): Buffer {
  const parts = fields.flatMap(([name, value]) => [
    Buffer.from([0x10]),
    ...text(name),
    ...text(value),
  ]);
  return Buffer.concat(parts);
}

function text(value: string): Buffer[] {
  const bytes = Buffer.from(value, 'latin1');
  if (bytes.length < 127) return [Buffer.from([bytes.length]), bytes];
  const length: number[] = [127];
  let rest = bytes.length - 127;
  while (rest >= 128) {
    length.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return [Buffer.from([...length, rest]), bytes];
}

export function headers(
  streamId: number,
  fields: readonly (readonly [name: string, value: string])[],
  endsStream = false,
): Buffer {
  const flags = END_HEADERS | (endsStream ? END_STREAM : 0);
  return frame(HEADERS, flags, streamId, block(...fields));
}

/** A good answer, whole. */
export function ok(streamId: number, body = 'ok'): Buffer {
  return Buffer.concat([
    headers(streamId, [[':status', '200']]),
    frame(DATA, END_STREAM, streamId, body),
  ]);
}

export class RawHttp2Connection {
  readonly raw: RawClient;
  readonly frames: Frame[] = [];

  constructor(raw: RawClient) {
    this.raw = raw;
  }

  /** The next frame that is of one of these types; what comes before it is kept in `frames`. */
  async next(...types: number[]): Promise<Frame> {
    for (;;) {
      const header = await this.raw.readBytes(9);
      const payload = await this.raw.readBytes(header.readUIntBE(0, 3));
      const one: Frame = {
        type: header[3] as number,
        flags: header[4] as number,
        streamId: header.readUInt32BE(5) & 0x7fffffff,
        payload,
      };
      this.frames.push(one);
      if (types.length === 0 || types.includes(one.type)) return one;
    }
  }

  /** The stream of the next request. */
  async request(): Promise<number> {
    return (await this.next(HEADERS)).streamId;
  }

  send(...bytes: readonly Uint8Array[]): Promise<void> {
    return this.raw.write(Buffer.concat(bytes));
  }
}

export interface RawHttp2Backend {
  readonly url: string;
  readonly port: number;
  readonly connections: readonly RawHttp2Connection[];
  /** What scripts threw that met something else than they expected. */
  readonly errors: readonly unknown[];
}

/**
 * `script` runs for each connection that begins in HTTP/2, once the preface has been read and our SETTINGS have been sent. Its
 * connection stays open when it ends.
 * @param first in place of SETTINGS.
 */
export async function rawHttp2Backend(
  script: (connection: RawHttp2Connection, index: number) => void | Promise<void>,
  first: Uint8Array = settings(),
): Promise<RawHttp2Backend> {
  const connections: RawHttp2Connection[] = [];
  const backend = await rawBackend(async (raw) => {
    raw.socket.on('end', () => raw.socket.end());
    // That of a check says nothing.
    const preface = await raw.readUntil('SM\r\n\r\n', 600_000).catch(() => '');
    if (preface !== PREFACE) return;
    const connection = new RawHttp2Connection(raw);
    connections.push(connection);
    await raw.write(first);
    await script(connection, connections.length - 1);
  });
  return { url: backend.url, port: backend.port, connections, errors: backend.errors };
}
