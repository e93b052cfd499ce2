/** A proxy that speaks HTTP/2 to clients in the clear and over TLS, in front of a scripted backend that speaks HTTP/1.1. */
import http2 from 'node:http2';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { type ScriptedBackend, Stage, scriptedBackend, startProxy } from './stage.ts';

export class Http2Stage extends Stage {
  readonly h2c: number;
  readonly tls: number;

  constructor(stage: Stage, [h2c = 0, tls = 0]: readonly number[]) {
    super(stage.fairlead, stage.backend);
    this.h2c = h2c;
    this.tls = tls;
  }

  /** A session of node:http2. */
  session(isTls = false, options: http2.SecureClientSessionOptions = {}): http2.ClientHttp2Session {
    const url = isTls ? `https://127.0.0.1:${this.tls}` : `http://127.0.0.1:${this.h2c}`;
    const session = http2.connect(url, { rejectUnauthorized: false, ...options });
    session.on('error', () => {});
    afterTest(() => session.destroy());
    return session;
  }
}

/** With as many data threads as it has by default. */
export async function startHttp2(
  config: Readonly<Record<string, unknown>> = {},
  {
    h2c = {},
    tls = {},
    backend,
    env = {},
  }: {
    readonly h2c?: Readonly<Record<string, unknown>>;
    readonly tls?: Readonly<Record<string, unknown>>;
    readonly backend?: ScriptedBackend;
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Promise<Http2Stage> {
  const behind = backend ?? (await scriptedBackend());
  const certificates = [makeCertificate()];
  return onFreePorts(2, async (ports) => {
    const listeners = [
      { port: ports[0], host: '127.0.0.1', h2c: true, ...h2c },
      { port: ports[1], host: '127.0.0.1', tls: { certificates }, ...tls },
    ];
    const fairlead = await startProxy([behind.url], { listeners, ...config }, { args: [], env });
    return new Http2Stage(new Stage(fairlead, behind), ports);
  });
}

export interface Http2Answer {
  readonly status: number;
  readonly headers: http2.IncomingHttpHeaders;
  readonly trailers: http2.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One request on a session. Rejects with what the stream ends with, if that is an error. */
export function ask(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body: Buffer | null = null,
): Promise<Http2Answer> {
  return answerOf(session.request(headers, { endStream: body === null }), body);
}

export function answerOf(
  stream: http2.ClientHttp2Stream,
  body: Buffer | null = null,
): Promise<Http2Answer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
    let trailers: http2.IncomingHttpHeaders = {};
    stream.on('response', (head) => (headers = head));
    stream.on('trailers', (fields) => (trailers = fields));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('close', () => {
      const status = headers[':status'] ?? 0;
      resolve({ status, headers, trailers, body: Buffer.concat(chunks) });
    });
    if (body !== null) stream.end(body);
  });
}
