/**
 * The HTTP server of the admin API: limits, time limits, and turning whatever a handler does into an answer.
 * A handler's mistake is a 500 and a log line, never the end of the process.
 */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TlsSettings } from '../../config/settings.ts';
import { SocketFile } from '../../data/listen/socket-file.ts';
import type { Actor } from '../audit.ts';
import { blockOf } from './address-block.ts';
import { CallRates } from './call-rates.ts';
import { AdminConnections } from './connections.ts';
import { MOST_JSON_BYTES } from './form.ts';
import { type AccessRules, type Caller, createGuard, type GuardOptions } from './guard.ts';
import { HandshakeTurns } from './handshake-turns.ts';
import { PROBLEM_CONTENT_TYPE, ProblemError, problemBody } from './problem.ts';
import { RefusalTurns } from './refusal-turns.ts';
import {
  type AdminAnswer,
  checkParameters,
  findOperation,
  findRoute,
  parseTarget,
  type Route,
} from './router.ts';
import { createAdminServer } from './secure-server.ts';

const MOST_AGENT_LENGTH = 200;
const LOOK_AT_TOKEN_MS = 500;

export interface AdminServerOptions extends GuardOptions {
  readonly host: string;
  /** In the place of host and port. */
  readonly unix: AccessRules['unix'];
  /** The one in force; undefined from the start: it speaks in the clear. */
  readonly tls?: () => TlsSettings | undefined;
  /** 0: any free port. */
  readonly port: number;
  /** What is listened on already, and is there for this address; −1: nothing. */
  readonly socket?: number;
  readonly routes: readonly Route[];
  /** Turns errors of the control plane into problems; undefined where it does not know them. */
  readonly explain: (error: unknown) => ProblemError | undefined;
  /** How long a client may take to send a request. */
  readonly requestTimeoutMs?: number;
}

export interface AdminServer {
  /** 0: it listens on a unix socket. */
  readonly port: number;
  /** Of what it listens on; −1: nobody knows. */
  readonly descriptor: number;
  /** Another process listens on the same socket: its file is for that one to remove. */
  leaveFile(): void;
  /** Stops listening, lets answers under way finish for a moment, then closes what is left. */
  close(graceMs: number): Promise<void>;
}

/** Rejects with the system's error when the address can't be listened on. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const guard = createGuard(options);
  const { log, routes, explain, requestTimeoutMs = 10_000 } = options;
  const rates = new CallRates({ rates: () => options.access().rates });
  const connections = new AdminConnections({ log });
  const turns = new RefusalTurns();
  const handshakes = new HandshakeTurns();

  async function answer(request: http.IncomingMessage): Promise<AdminAnswer> {
    const { segments, query } = parseTarget(request.url ?? '');
    const method = request.method ?? '';
    const isOpen = routes.some(
      (route) => route.path === `/${segments.join('/')}` && isFree(route, request),
    );
    const caller = isOpen ? undefined : guard(request);
    if (caller !== undefined) {
      const address = blockOf(request.socket.remoteAddress ?? '');
      handshakes.know(address);
      rates.take(caller.token ?? address, !isReading(method));
    }
    const { route, params } = findRoute(routes, segments);
    const { handle, body: form } = findOperation(route, method);
    if (caller !== undefined) checkRole(caller, method, route);
    checkParameters(route, method, query);
    // Of whoever has shown no token, nothing is kept: calls that are open to all take no body.
    const most = form?.mostBytes ?? MOST_JSON_BYTES;
    const body = isOpen ? Buffer.alloc(0) : await readBody(request, most);
    const { socket } = request;
    connections.begin(socket);
    try {
      const actor = actorOf(request, caller?.token);
      const role = caller?.role ?? 'viewer';
      const result = await handle({ request, actor, role, params, query, body });
      return result.stream === undefined || caller === undefined
        ? result
        : { ...result, stream: whileGood(result.stream, caller) };
    } finally {
      connections.done(socket);
    }
  }

  function asProblem(error: unknown, request: http.IncomingMessage): ProblemError {
    if (error instanceof ProblemError) return error;
    const explained = explain(error);
    if (explained !== undefined) return explained;
    log.error('admin.failed', `${request.method} ${pathOf(request)} failed`, { error });
    return new ProblemError(500, 'ERR_INTERNAL', 'The call failed; the log says more.');
  }

  async function refusal(problem: ProblemError): Promise<AdminAnswer> {
    const waitMs = turns.waitMs(problem.status);
    if (waitMs > 0) await sleep(waitMs);
    return problemAnswer(problem);
  }

  /** Its client asks for no more, and yet it does not wait for its client. */
  function beginStream(socket: Socket, response: http.ServerResponse, begun: AdminAnswer): void {
    if (!response.destroyed) {
      connections.begin(socket);
      response.once('close', () => connections.done(socket));
      response.writeHead(begun.status, headOf(begun));
    }
    begun.stream?.(response);
  }

  const server = createAdminServer(
    options.tls ?? (() => undefined),
    {
      maxHeaderSize: 16 * 1024,
      headersTimeout: requestTimeoutMs,
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: Math.min(1000, requestTimeoutMs),
      keepAliveTimeout: 5000,
    },
    handshakes,
    (request, response) => {
      response.on('error', () => {});
      answer(request)
        .catch((error: unknown) => refusal(asProblem(error, request)))
        .then((result) => {
          return result.stream === undefined
            ? send(request, response, result)
            : beginStream(request.socket, response, result);
        })
        .catch((error: unknown) => {
          log.error('admin.failed', 'an answer could not be sent', { error });
          response.destroy();
        });
    },
    (socket) => connections.admit(socket),
  );
  // Slow readers: an answer is small, and nobody may hold a connection for nothing.
  server.setTimeout(30_000);
  server.on('clientError', answerMalformed);
  server.on('upgrade', (_request, socket) => socket.destroy());
  server.on('connect', (_request, socket) => socket.destroy());
  const { unix, socket = -1 } = options;
  const isHandedOn = socket !== -1;
  let file =
    unix === null
      ? null
      : isHandedOn
        ? SocketFile.adopted(unix.path, unix.mode)
        : new SocketFile(unix.path);
  if (!isHandedOn) await file?.prepare();
  if (isHandedOn) server.listen({ fd: socket });
  else if (file === null) server.listen(options.port, options.host);
  else server.listen(file.ownPath);
  await once(server, 'listening').catch((error: unknown) => {
    throw file?.explained(error as NodeJS.ErrnoException) ?? error;
  });
  if (unix !== null && !isHandedOn) file?.publish(unix.mode);
  server.on('error', (error) => log.error('admin.failed', 'the admin server failed', { error }));
  const port = file === null ? (server.address() as AddressInfo).port : 0;
  const handle = (server as unknown as { readonly _handle?: { readonly fd?: number } | null })
    ._handle;
  let closed: Promise<unknown> | undefined;
  return {
    port,
    descriptor: handle?.fd ?? -1,
    leaveFile() {
      file = null;
    },
    async close(graceMs) {
      if (closed !== undefined) {
        await closed;
        return;
      }
      closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      file?.remove();
      clearTimeout(timer);
    },
  };
}

/** Without the query, where somebody may have put a token. */
function pathOf({ url = '' }: http.IncomingMessage): string {
  return url.split('?', 1).join('');
}

/** Whoever asks need not say who that is. */
function isFree({ isOpen, isOpenTo }: Route, { method = '', headers }: http.IncomingMessage) {
  return isOpen === true || (isReading(method) && isOpenTo?.(headers) === true);
}

function isReading(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** @throws ProblemError 403 */
function checkRole({ role, token }: Caller, method: string, { path, methods }: Route): void {
  if (role === 'operator' || isReading(method) || methods[method]?.mayView === true) return;
  throw new ProblemError(
    403,
    'ERR_OPERATOR_NEEDED',
    `${token} is the token of a viewer, which may read; ${method} ${path} takes that of an operator.`,
    { hint: 'fairlead token new NAME --role operator makes one' },
  );
}

/** What goes on for days ends soon after the token that it was begun with was taken back. */
function whileGood(
  stream: NonNullable<AdminAnswer['stream']>,
  { isStillGood }: Caller,
): NonNullable<AdminAnswer['stream']> {
  return (response) => {
    const timer = setInterval(() => {
      if (!isStillGood()) response.destroy();
    }, LOOK_AT_TOKEN_MS);
    timer.unref();
    response.once('close', () => clearInterval(timer));
    stream(response);
  };
}

function actorOf({ socket, headers }: http.IncomingMessage, token: string | undefined): Actor {
  const agent = headers['user-agent']?.slice(0, MOST_AGENT_LENGTH);
  return {
    address: socket.remoteAddress ?? 'unix',
    ...(agent !== undefined && { agent }),
    ...(token !== undefined && { token }),
  };
}

/** @throws ProblemError 413 */
async function readBody(request: http.IncomingMessage, most: number): Promise<Buffer> {
  const tooLarge = new ProblemError(
    413,
    'ERR_BODY_TOO_LARGE',
    `The body is larger than ${most} bytes.`,
    // What is left of the body is not read: the connection can't be used any more.
    { headers: { Connection: 'close' } },
  );
  if (Number(request.headers['content-length'] ?? 0) > most) throw tooLarge;
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      const bytes = chunk as Buffer;
      length += bytes.length;
      if (length > most) throw tooLarge;
      chunks.push(bytes);
    }
  } catch (error) {
    if (error instanceof ProblemError) throw error;
    // The client went away, or took too long, in the middle of its body: nobody reads this answer.
    throw new ProblemError(400, 'ERR_BODY_INCOMPLETE', 'The body ended early.', {
      headers: { Connection: 'close' },
    });
  }
  return Buffer.concat(chunks, length);
}

function problemAnswer(problem: ProblemError): AdminAnswer {
  return {
    status: problem.status,
    body: problemBody(problem),
    contentType: PROBLEM_CONTENT_TYPE,
    headers: problem.headers,
  };
}

function send(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  answer: AdminAnswer,
): void {
  if (response.destroyed) return;
  const { body, contentType } = answer;
  const isRaw = (typeof body === 'string' && contentType !== undefined) || Buffer.isBuffer(body);
  const sent = body === undefined ? '' : isRaw ? body : `${JSON.stringify(body, null, 2)}\n`;
  // Whatever of the request was not read (an unknown path was answered before its body) ends the connection.
  if (!request.complete) response.setHeader('Connection', 'close');
  response.writeHead(answer.status, {
    ...headOf(answer),
    ...(answer.status !== 304 && { 'Content-Length': Buffer.byteLength(sent) }),
  });
  response.end(request.method === 'HEAD' ? undefined : sent);
}

function headOf({ body, contentType, headers }: AdminAnswer): http.OutgoingHttpHeaders {
  const type = contentType ?? (body === undefined ? undefined : 'application/json');
  return {
    ...(type !== undefined && { 'Content-Type': type }),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...headers,
  };
}

/** What node:http could not parse, in the same form as every other error. */
function answerMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const problem =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new ProblemError(431, 'ERR_HEAD_TOO_LARGE', 'The request head is too large.')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new ProblemError(408, 'ERR_REQUEST_TIMEOUT', 'The request did not arrive in time.')
        : new ProblemError(400, 'ERR_BAD_REQUEST', 'The request is not HTTP.');
  const body = `${JSON.stringify(problemBody(problem))}\n`;
  socket.end(
    `HTTP/1.1 ${problem.status} ${http.STATUS_CODES[problem.status]}\r\n` +
      `Content-Type: ${PROBLEM_CONTENT_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `Connection: close\r\n\r\n${body}`,
  );
}
