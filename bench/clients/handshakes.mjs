/**
 * TLS connections, one request on each, over and over: `node handshakes.mjs PORT CONNECTIONS SECONDS new|resumed`. Prints a
 * `Loaded` of parse.mjs as JSON; a "request" is a connection. Resumed: each shows a ticket that an earlier one got.
 */
import tls from 'node:tls';
import { latencies } from '../parse.mjs';

const [port, connections, seconds] = process.argv.slice(2, 5).map(Number);
const isResuming = process.argv[5] === 'resumed';
const GET = 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n';

const context = tls.createSecureContext({ minVersion: 'TLSv1.3' });
const tickets = [];
const visits = [];
let errors = 0;

function visit() {
  return new Promise((resolve) => {
    const startMs = performance.now();
    const session = isResuming ? tickets.pop() : undefined;
    const socket = tls.connect({
      port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      secureContext: context,
      session,
    });
    let answer = '';
    if (isResuming) socket.on('session', (ticket) => tickets.push(ticket));
    socket.on('secureConnect', () => {
      // One that should have been resumed and was not is not what is measured.
      if (session !== undefined && !socket.isSessionReused()) errors++;
      socket.write(GET);
    });
    socket.on('data', (bytes) => {
      answer += bytes.latin1Slice();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (!answer.startsWith('HTTP/1.1 200')) errors++;
      // The first ones of each client have no ticket yet.
      else if (!isResuming || session !== undefined) {
        visits.push({ startMs, ms: performance.now() - startMs });
      }
      resolve();
    });
  });
}

async function visitUntil(endMs) {
  while (performance.now() < endMs) await visit();
}

const beginMs = performance.now();
const endMs = beginMs + seconds * 1000;
await Promise.all(Array.from({ length: connections }, () => visitUntil(endMs)));
const perSecond = visits.length / ((performance.now() - beginMs) / 1000);
process.stdout.write(
  JSON.stringify({ requests: visits.length, perSecond, errors, ...latencies(visits) }),
);
