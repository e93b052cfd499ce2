/** The server of the admin API, in the clear or over TLS, with the certificate that is in force as each connection comes. */
import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import type { TlsSettings } from '../../config/settings.ts';
import { blockOf } from './address-block.ts';
import type { HandshakeTurns } from './handshake-turns.ts';

const HANDSHAKE_MS = 10_000;
/** Beyond that, the one that has taken longest goes, of the address that has the most: it has asked for nothing yet. */
const MOST_HANDSHAKES = 128;

/**
 * @param turns in which handshakes begin.
 * @param onReady with the socket that requests will come on.
 */
export function createAdminServer(
  tls: () => TlsSettings | undefined,
  options: http.ServerOptions,
  turns: HandshakeTurns,
  onRequest: http.RequestListener,
  onReady: (socket: Socket) => void,
): http.Server | https.Server {
  let inForce = tls();
  if (inForce === undefined) {
    const server = http.createServer(options, onRequest);
    return server.on('connection', onReady);
  }
  const own = { handshakeTimeout: HANDSHAKE_MS, ...contextOf(inForce) };
  const server = https.createServer({ ...options, ...own }, onRequest);
  const shaking = new Map<string, Socket>();
  const begins = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const key = keyOf(socket);
    shaking.set(key, socket);
    const callOff = turns.take(blockOf(socket.remoteAddress ?? ''), () => {
      socket.off('error', nothing);
      const now = tls();
      if (now !== undefined && now !== inForce) server.setSecureContext(contextOf(now));
      inForce = now;
      for (const begin of begins) begin.call(server, socket);
    });
    // Nobody else listens until its turn has come. What it has sent by then is kept, and is not much: a hello.
    socket.on('error', nothing);
    socket.once('close', () => {
      callOff();
      if (shaking.get(key) === socket) shaking.delete(key);
    });
    if (shaking.size <= MOST_HANDSHAKES) return;
    oldestOfMost(shaking.values())?.destroy();
  });
  // The server knows of connections from their first request on.
  const close = server.close.bind(server);
  server.close = (onClosed) => {
    for (const socket of shaking.values()) socket.destroy();
    return close(onClosed);
  };
  return server.on('secureConnection', (socket) => {
    shaking.delete(keyOf(socket));
    onReady(socket);
  });
}

function nothing(): void {}

/** @param sockets the oldest first */
function oldestOfMost(sockets: Iterable<Socket>): Socket | undefined {
  const open = [...sockets].filter((socket) => !socket.destroyed);
  const of = new Map<string, Socket[]>();
  for (const socket of open) {
    const block = blockOf(socket.remoteAddress ?? '');
    const its = of.get(block);
    if (its === undefined) of.set(block, [socket]);
    else its.push(socket);
  }
  const [most] = [...of.values()].toSorted((a, b) => b.length - a.length);
  return most?.[0];
}

function contextOf({ certificates: [certificate], clientCertificates, minVersion }: TlsSettings) {
  return {
    cert: certificate?.cert,
    key: certificate?.key,
    minVersion: `TLSv${minVersion}` as const,
    ...(clientCertificates !== null && {
      ca: clientCertificates.ca,
      requestCert: true,
      rejectUnauthorized: true,
    }),
  };
}

function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
