/** The server of the admin API, in the clear or over TLS, with the certificate that is in force as each connection comes. */
import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import type { TlsSettings } from '../../config/settings.ts';

const HANDSHAKE_MS = 10_000;
/** Beyond that, the one that has taken longest goes: it has asked for nothing yet. */
const MOST_HANDSHAKES = 128;

/** @param onReady with the socket that requests will come on. */
export function createAdminServer(
  tls: () => TlsSettings | undefined,
  options: http.ServerOptions,
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
  server.prependListener('connection', (socket: Socket) => {
    const now = tls();
    if (now !== undefined && now !== inForce) server.setSecureContext(contextOf(now));
    inForce = now;
    const key = keyOf(socket);
    shaking.set(key, socket);
    socket.once('close', () => {
      if (shaking.get(key) === socket) shaking.delete(key);
    });
    if (shaking.size <= MOST_HANDSHAKES) return;
    for (const oldest of shaking.values()) {
      oldest.destroy();
      break;
    }
  });
  return server.on('secureConnection', (socket) => {
    shaking.delete(keyOf(socket));
    onReady(socket);
  });
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
