/**
 * One health check of one backend, over a connection of its own. Says what was tried, what came, and after how long;
 * never rejects and never throws, whatever the backend does.
 */
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import type { BackendAddress } from '../config/settings.ts';

export interface ProbeRequest {
  readonly address: BackendAddress;
  readonly method: 'http' | 'tcp';
  /** Path and query of the GET. */
  readonly path: string;
  readonly timeoutMs: number;
}

export interface ProbeResult {
  readonly isPassed: boolean;
  /** `GET http://localhost:3001/health: 200 after 3 ms` */
  readonly detail: string;
  /** Of the answer, if one came. */
  readonly status: number | undefined;
  /** There was a connection (over TLS, a secure one), whatever came of it. */
  readonly hasConnected: boolean;
}

export type Probe = (request: ProbeRequest, signal: AbortSignal) => Promise<ProbeResult>;

/** A health page larger than this is not read to its end. */
const MAX_BODY_BYTES = 64 * 1024;

export const probe: Probe = (request, signal) =>
  request.method === 'tcp' ? probeTcp(request, signal) : probeHttp(request, signal);

function probeHttp(request: ProbeRequest, signal: AbortSignal): Promise<ProbeResult> {
  const { address, path, timeoutMs } = request;
  const { promise, settle, connected } = verdict(`GET ${address.url}${path}`);
  let outgoing: http.ClientRequest;
  try {
    outgoing = (address.tls ? https : http).request({
      host: address.host,
      port: address.port,
      path,
      // A fresh connection: an idle one would tell about the past.
      agent: false,
      signal,
      headers: {
        Host: address.authority,
        'User-Agent': 'fairlead-health-check',
        Accept: '*/*',
        Connection: 'close',
      },
    });
  } catch (error) {
    settle(false, describeError(error));
    return promise;
  }
  const timer = setTimeout(() => {
    settle(false, `no answer within ${timeoutMs} ms`);
    outgoing.destroy();
  }, timeoutMs);
  outgoing.on('socket', (socket) =>
    socket.once(address.tls ? 'secureConnect' : 'connect', connected),
  );
  outgoing.on('error', (error) => settle(false, describeError(error)));
  outgoing.on('close', () => {
    clearTimeout(timer);
    settle(false, 'the connection closed without an answer');
  });
  outgoing.on('upgrade', (_response, socket) => {
    settle(false, 'switched protocols', 101);
    socket.destroy();
  });
  outgoing.on('response', (response) => {
    const status = response.statusCode ?? 0;
    settle(status >= 200 && status < 300, String(status), status);
    // The verdict stands. The rest is read only so that the backend can end its answer in peace; the timer still runs.
    let bytes = 0;
    response.on('error', () => {});
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) outgoing.destroy();
    });
  });
  outgoing.end();
  return promise;
}

function probeTcp(request: ProbeRequest, signal: AbortSignal): Promise<ProbeResult> {
  const { address, timeoutMs } = request;
  const { promise, settle, connected } = verdict(`TCP connect to ${address.url}`);
  const socket = net.connect({ host: address.host, port: address.port });
  const abort = (): void => {
    settle(false, 'called off');
    socket.destroy();
  };
  const timer = setTimeout(() => {
    settle(false, `no connection within ${timeoutMs} ms`);
    socket.destroy();
  }, timeoutMs);
  signal.addEventListener('abort', abort, { once: true });
  socket.on('connect', () => {
    connected();
    settle(true, 'connected');
    socket.destroy();
  });
  socket.on('error', (error) => settle(false, describeError(error)));
  socket.on('close', () => {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
    settle(false, 'the connection closed');
  });
  if (signal.aborted) abort();
  return promise;
}

/** A promise that the first `settle` decides; later ones change nothing. */
function verdict(tried: string): {
  promise: Promise<ProbeResult>;
  settle: (isPassed: boolean, came: string, status?: number) => void;
  connected: () => void;
} {
  const startedAt = performance.now();
  let hasConnected = false;
  let resolve: (result: ProbeResult) => void;
  const promise = new Promise<ProbeResult>((resolvePromise) => {
    resolve = resolvePromise;
  });
  return {
    promise,
    settle(isPassed, came, status) {
      const ms = Math.round(performance.now() - startedAt);
      resolve({ isPassed, detail: `${tried}: ${came} after ${ms} ms`, status, hasConnected });
    },
    connected() {
      hasConnected = true;
    },
  };
}

/** Names every address that was tried: happy eyeballs report several failures as one AggregateError without a text. */
function describeError(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return error.errors.map(describeError).join(', ');
  }
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (code.startsWith('HPE_')) return `not an HTTP answer (${error.message})`;
  return error.message === '' ? code || error.name : error.message;
}
