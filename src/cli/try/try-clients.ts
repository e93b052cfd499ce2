/** The clients that `fairlead try` asks with. On Node's own, not on Fairlead's data path: what tries the proxy out must not share its mistakes. */
import { Agent, request as requestHttp } from 'node:http';
import http2 from 'node:http2';
import { request as requestHttps, Agent as TlsAgent } from 'node:https';
import type { ConnectionOptions, SecureContextOptions } from 'node:tls';
import { Http2Wire } from './try-http2-wire.ts';

/** Whose certificates are taken, and which one is shown. */
export type TlsTerms = Pick<
  SecureContextOptions & ConnectionOptions,
  'rejectUnauthorized' | 'ca' | 'cert' | 'key' | 'allowPartialTrustChain'
>;

/** What each request is. */
export interface Asked {
  readonly url: URL;
  readonly connections: number;
  readonly method: string;
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly body: string | undefined;
  /** For one request, from its start to the end of its response. */
  readonly timeoutMs: number;
  /** Of https. */
  readonly tls: TlsTerms;
}

export interface Answered {
  readonly status: number;
  /** Of the fields, by its name in lower case. */
  field(name: string): string | undefined;
  /** The body, or the beginning of a long one. */
  readonly text: string;
}

export interface TryClient {
  /** Rejects unless the answer is complete. */
  ask(): Promise<Answered>;
  close(): void;
}

/** The echo of a sample backend is far smaller; of larger answers only the beginning is kept. */
const KEPT_BYTES = 64 * 1024;

/** One request on a connection of its own at a time. */
export class Http1Client implements TryClient {
  readonly #asked: Asked;
  readonly #agent: Agent;

  constructor(asked: Asked) {
    const { url, connections, tls } = asked;
    const options = { keepAlive: true, maxSockets: connections };
    this.#asked = asked;
    this.#agent =
      url.protocol === 'https:' ? new TlsAgent({ ...options, ...tls }) : new Agent(options);
  }

  ask(): Promise<Answered> {
    const { url, method, headers, body, timeoutMs } = this.#asked;
    const send = url.protocol === 'https:' ? requestHttps : requestHttp;
    const request = send(url, { agent: this.#agent, method });
    for (const [name, values] of headers) request.setHeader(name, values);
    const answered = new Promise<Answered>((resolve, reject) => {
      request.on('error', reject);
      request.on('response', (response) => {
        const beginning = new Beginning();
        response.on('data', (chunk: Buffer) => beginning.add(chunk));
        // A response that is cut off is an error here, never an end.
        response.on('error', reject);
        response.on('end', () => {
          const field = (name: string): string | undefined => asText(response.headers[name]);
          resolve({ status: response.statusCode ?? 0, field, text: beginning.text });
        });
      });
      request.end(body);
    });
    return inTime(answered, timeoutMs, () => request.destroy());
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** All requests on one connection, side by side; on another one when that has ended. In the clear by prior knowledge. */
export class Http2Client implements TryClient {
  readonly #asked: Asked;
  #session: http2.ClientHttp2Session | null = null;
  #wire: Http2Wire | null = null;

  constructor(asked: Asked) {
    this.#asked = asked;
  }

  ask(): Promise<Answered> {
    const { url, method, headers, body, timeoutMs } = this.#asked;
    const { session, wire } = this.#open();
    const stream = session.request(
      {
        ...Object.fromEntries(headers),
        ':method': method,
        ':path': `${url.pathname}${url.search}`,
      },
      { endStream: body === undefined },
    );
    const answered = new Promise<Answered>((resolve, reject) => {
      let head: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
      const beginning = new Beginning();
      // Of a connection that can't be made a stream says that it was cancelled, and why.
      stream.on('error', (error) => reject(error.cause ?? error));
      stream.on('response', (fields) => (head = fields));
      stream.on('data', (chunk: Buffer) => beginning.add(chunk));
      stream.on('close', () => {
        const status = head[':status'] ?? 0;
        if (!wire.hasEnded(stream.id) || stream.rstCode !== 0) {
          reject(Object.assign(new Error('The stream was cut off.'), { code: 'ECONNRESET' }));
        }
        resolve({ status, field: (name) => asText(head[name]), text: beginning.text });
      });
      if (body !== undefined) stream.end(body);
    });
    return inTime(answered, timeoutMs, () => stream.close(http2.constants.NGHTTP2_CANCEL));
  }

  #open(): { readonly session: http2.ClientHttp2Session; readonly wire: Http2Wire } {
    const [known, knownWire] = [this.#session, this.#wire];
    if (known !== null && knownWire !== null && !known.closed && !known.destroyed) {
      return { session: known, wire: knownWire };
    }
    const { url, tls } = this.#asked;
    const wire = new Http2Wire(url, tls);
    const session = http2.connect(url.origin, { createConnection: () => wire });
    session.on('error', () => {});
    this.#session = session;
    this.#wire = wire;
    return { session, wire };
  }

  close(): void {
    this.#session?.destroy();
  }
}

class Beginning {
  readonly #chunks: Buffer[] = [];
  #length = 0;

  add(chunk: Buffer): void {
    if (this.#length < KEPT_BYTES) this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString();
  }
}

function asText(value: string | readonly string[] | undefined): string | undefined {
  return value === undefined ? undefined : String(value);
}

async function inTime<T>(promise: Promise<T>, ms: number, giveUp: () => void): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(Object.assign(new Error('The request took too long.'), { code: 'TIMEOUT' }));
      giveUp();
    }, ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
