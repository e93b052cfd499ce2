/**
 * The sample backend: a server to try Fairlead out with. It says who it is and what it was sent, and it can be slow,
 * large, failing or unhealthy when asked. It is no part of the proxy and shares no code with it.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { hostname } from 'node:os';

export interface SampleBackendOptions {
  /** Undefined: all addresses. */
  readonly host?: string | undefined;
  /** 0: any free port. */
  readonly port: number;
  /** How it calls itself in its answers; default `host name:port`. */
  readonly name?: string | undefined;
}

export interface SampleBackend {
  readonly name: string;
  readonly port: number;
  readonly url: string;
  /** Stops accepting and waits for the requests in flight, for at most `graceMs`. */
  close(graceMs?: number): Promise<void>;
}

const MOST_BYTES = 10 * 1024 ** 3;
const LONGEST_DELAY_MS = 600_000;
const CHUNK = Buffer.alloc(64 * 1024, 'Fairlead ');

/** Rejects with the system's error when the address can't be listened on. */
export async function startSampleBackend(options: SampleBackendOptions): Promise<SampleBackend> {
  const state = { name: '', address: '', isHealthy: true };
  const server = createServer(
    // Long lives for connections: a backend that closes first makes the proxy's reuse of it a race.
    { keepAliveTimeout: 120_000, requestTimeout: 0 },
    (request, response) => {
      answer(request, response, state).catch((error: Error) => {
        // The client went away in the middle of its request or its response.
        response.destroy(error);
      });
    },
  );
  server.listen({ port: options.port, host: options.host });
  await once(server, 'listening');
  const { address, port } = server.address() as AddressInfo;
  state.name = options.name ?? `${hostname()}:${port}`;
  state.address = hostAndPort(address, port);
  return {
    name: state.name,
    port,
    url: `http://${options.host === undefined ? `localhost:${port}` : state.address}`,
    async close(graceMs = 5_000) {
      const closed = once(server, 'close');
      server.close();
      const deadline = performance.now() + graceMs;
      // Connections become idle one by one as their requests end.
      const timer = setInterval(() => {
        if (performance.now() < deadline) server.closeIdleConnections();
        else server.closeAllConnections();
      }, 20);
      await closed;
      clearInterval(timer);
    },
  };
}

interface BackendState {
  readonly name: string;
  readonly address: string;
  isHealthy: boolean;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  state: BackendState,
): Promise<void> {
  response.setHeader('X-Backend', state.name);
  // Any target is worth an echo, so it is not parsed as a URL, which not every target is.
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  const [, page, parameter] = path.split('/');
  const isAlone = parameter === undefined;
  if (page === 'health' && isAlone) return health(request, response, state);
  if (page === 'status' && !isAlone) return status(response, parameter);
  if (page === 'bytes' && !isAlone) return bytes(request, response, parameter);
  if (page === 'slow' && isAlone && !(await wasDelayed(query, response))) return;
  return echo(request, response, state);
}

async function health(
  request: IncomingMessage,
  response: ServerResponse,
  state: BackendState,
): Promise<void> {
  if (request.method === 'PUT') {
    const isHealthy = healthyIn(await readText(request, 1024));
    if (isHealthy === undefined) {
      return json(response, 400, { error: 'Send {"healthy": true} or {"healthy": false}.' });
    }
    state.isHealthy = isHealthy;
    return json(response, 200, { healthy: isHealthy });
  }
  json(response, state.isHealthy ? 200 : 503, { status: state.isHealthy ? 'ok' : 'unhealthy' });
}

function healthyIn(text: string): boolean | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const healthy: unknown =
      typeof value === 'object' && value !== null && 'healthy' in value ? value.healthy : undefined;
    return typeof healthy === 'boolean' ? healthy : undefined;
  } catch {
    return undefined;
  }
}

function status(response: ServerResponse, parameter: string): void {
  const code = inRange(parameter, 200, 599);
  if (code === undefined) {
    json(response, 400, { error: '/status/CODE takes a code from 200 to 599.' });
  } else if (code === 204 || code === 304) {
    response.writeHead(code).end();
  } else {
    json(response, code, { status: code });
  }
}

async function bytes(
  request: IncomingMessage,
  response: ServerResponse,
  parameter: string,
): Promise<void> {
  const count = inRange(parameter, 0, MOST_BYTES);
  if (count === undefined) {
    return json(response, 400, { error: `/bytes/N takes a number from 0 to ${MOST_BYTES}.` });
  }
  response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': count });
  if (request.method !== 'HEAD') {
    for (let left = count; left > 0 && !response.destroyed; left -= CHUNK.length) {
      const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
      if (!response.write(chunk)) await drained(response);
    }
  }
  response.end();
}

/** Resolves when more may be written, or never will be: whoever waits must look at `destroyed`. */
async function drained(response: ServerResponse): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}

/** Waits `?ms=`. False when it has answered already: a bad number, or a client that is gone. */
async function wasDelayed(query: string, response: ServerResponse): Promise<boolean> {
  const ms = inRange(new URLSearchParams(query).get('ms') ?? '1000', 0, LONGEST_DELAY_MS);
  if (ms === undefined) {
    json(response, 400, { error: `/slow?ms=N takes a number from 0 to ${LONGEST_DELAY_MS}.` });
    return false;
  }
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    response.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
  return !response.destroyed;
}

async function echo(
  request: IncomingMessage,
  response: ServerResponse,
  state: BackendState,
): Promise<void> {
  let bodyBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) bodyBytes += chunk.length;
  json(response, 200, {
    name: state.name,
    hostname: hostname(),
    address: state.address,
    client: clientAddress(request.socket),
    method: request.method,
    path: request.url,
    headers: pairs(request.rawHeaders),
    body_bytes: bodyBytes,
  });
}

function json(response: ServerResponse, code: number, value: unknown): void {
  const text = `${JSON.stringify(value, null, 2)}\n`;
  response.writeHead(code, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}

async function readText(request: IncomingMessage, mostBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= mostBytes) chunks.push(chunk);
  }
  return length > mostBytes ? '' : Buffer.concat(chunks).toString();
}

function pairs(rawHeaders: readonly string[]): [string, string][] {
  const fields: [string, string][] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    fields.push([rawHeaders[index] as string, rawHeaders[index + 1] as string]);
  }
  return fields;
}

function inRange(text: string, least: number, most: number): number | undefined {
  const value = Number(text);
  return /^\d+$/.test(text) && value >= least && value <= most ? value : undefined;
}

function clientAddress(socket: Socket): string | undefined {
  const { remoteAddress, remotePort } = socket;
  return remoteAddress === undefined || remotePort === undefined
    ? undefined
    : hostAndPort(remoteAddress, remotePort);
}

/** An IPv4 client of an IPv6 socket shows as `::ffff:192.0.2.1`. */
function hostAndPort(address: string, port: number): string {
  const plain = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
  return plain.includes(':') ? `[${plain}]:${port}` : `${plain}:${port}`;
}
