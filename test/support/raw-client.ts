import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterTest } from './after-test.ts';
import { ByteReader } from './byte-reader.ts';

export interface RawResponse {
  readonly status: number;
  /** The head as it came, with its last empty line. */
  readonly head: string;
  /** All values of a field, by its lower-case name, in order. */
  readonly fields: ReadonlyMap<string, readonly string[]>;
  /** Decoded when it came chunked. */
  readonly body: Buffer;
}

/** A client that writes the bytes that it is told to write. It half-closes only when told to, too. */
export class RawClient extends ByteReader {
  readonly socket: Socket;

  constructor(socket: Socket) {
    super(socket);
    this.socket = socket;
  }

  /** Strings are Latin-1: one character, one byte. Resolves when the bytes have left. */
  write(data: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => resolve();
      if (typeof data === 'string') this.socket.write(data, 'latin1', done);
      else this.socket.write(data, done);
    });
  }

  /** Sends a FIN; reading goes on. */
  end(): void {
    this.socket.end();
  }

  /** Sends a RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  /**
   * Reads one response. `hasBody: false` for the answer to a HEAD. Interim responses (1xx, without 101) are skipped.
   * Trusts the sender's framing, which the tests of framing must not: those compare bytes.
   */
  async readResponse({ hasBody = true, ms = 15_000 } = {}): Promise<RawResponse> {
    let head = await this.readUntil('\r\n\r\n', ms);
    let status = statusOf(head);
    while (status < 200 && status !== 101) {
      head = await this.readUntil('\r\n\r\n', ms);
      status = statusOf(head);
    }
    const fields = fieldsOf(head);
    const isEmpty = !hasBody || status === 101 || status === 204 || status === 304;
    const body = isEmpty ? Buffer.alloc(0) : await this.#readBody(fields, ms);
    return { status, head, fields, body };
  }

  async #readBody(fields: RawResponse['fields'], ms: number): Promise<Buffer> {
    if (fields.get('transfer-encoding')?.at(-1) === 'chunked') {
      const chunks: Buffer[] = [];
      for (;;) {
        const size = Number.parseInt(await this.readUntil('\r\n', ms), 16);
        if (size === 0) break;
        chunks.push(await this.readBytes(size, ms));
        await this.readBytes(2, ms);
      }
      while ((await this.readUntil('\r\n', ms)) !== '\r\n');
      return Buffer.concat(chunks);
    }
    const length = fields.get('content-length')?.[0];
    return length === undefined ? this.readToEnd(ms) : this.readBytes(Number(length), ms);
  }
}

function statusOf(head: string): number {
  const match = /^HTTP\/1\.[01] (\d{3}) /.exec(head);
  if (match === null) throw new Error(`Not a response head: ${JSON.stringify(head)}`);
  return Number(match[1]);
}

function fieldsOf(head: string): Map<string, string[]> {
  const fields = new Map<string, string[]>();
  for (const line of head.trimEnd().split('\r\n').slice(1)) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const values = fields.get(name) ?? [];
    values.push(line.slice(colon + 1).trim());
    fields.set(name, values);
  }
  return fields;
}

/** Connects to a port of this machine. With `tls`, any certificate is believed. */
export async function rawClient(
  port: number,
  { host = '127.0.0.1', tls = false }: { host?: string; tls?: boolean } = {},
): Promise<RawClient> {
  const socket = tls
    ? connectTls({ host, port, rejectUnauthorized: false })
    : connect({ host, port, allowHalfOpen: true });
  afterTest(() => {
    socket.destroy();
  });
  socket.setNoDelay(true);
  const client = new RawClient(socket);
  await once(socket, tls ? 'secureConnect' : 'connect');
  return client;
}
