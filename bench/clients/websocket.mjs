/**
 * WebSocket echo round trips on raw sockets, so that the client costs little beside what it measures.
 * `node websocket.mjs PORT CONNECTIONS SECONDS`; prints a `Loaded` of parse.mjs as JSON.
 */
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { latencies } from '../parse.mjs';

const [port, connections, seconds] = process.argv.slice(2).map(Number);
const MESSAGE_BYTES = 64;
/** A server's frame of that size: two bytes, no mask. */
const ECHO_BYTES = 2 + MESSAGE_BYTES;

const trips = [];
let errors = 0;
let isOver = false;

/** A client's binary frame, masked (RFC 6455 §5.2). */
function frame() {
  const mask = randomBytes(4);
  const body = Buffer.from('m'.repeat(MESSAGE_BYTES)).map((byte, index) => byte ^ mask[index % 4]);
  return Buffer.concat([Buffer.from([0x82, 0x80 | MESSAGE_BYTES]), mask, body]);
}

function handshake() {
  return `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`;
}

/** A connection that is upgraded: resolves with its socket. */
function upgraded() {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    let head = '';
    const onData = (bytes) => {
      head += bytes.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.off('data', onData);
      if (head.startsWith('HTTP/1.1 101')) resolve(socket);
      else reject(new Error(`no upgrade: ${head.slice(0, head.indexOf('\r\n'))}`));
    };
    socket.on('data', onData);
    socket.on('error', reject);
    socket.write(handshake());
  });
}

/** Round trips until the time is over. */
function echo(socket) {
  return new Promise((resolve) => {
    const message = frame();
    let sentAt = 0;
    let received = 0;
    const send = () => {
      sentAt = performance.now();
      socket.write(message);
    };
    socket.on('data', (bytes) => {
      received += bytes.length;
      if (received < ECHO_BYTES) return;
      received = 0;
      trips.push({ ms: performance.now() - sentAt });
      if (isOver) socket.destroy();
      else send();
    });
    socket.removeAllListeners('error');
    socket.on('error', () => {});
    socket.on('close', () => {
      if (!isOver) errors++;
      resolve();
    });
    send();
  });
}

const sockets = await Promise.all(Array.from({ length: connections }, upgraded));
const begin = performance.now();
setTimeout(() => {
  isOver = true;
  // A round trip that hangs must not hold up the run.
  setTimeout(() => process.exit(1), 5000).unref();
}, seconds * 1000);
await Promise.all(sockets.map(echo));
const elapsed = (performance.now() - begin) / 1000;
process.stdout.write(
  JSON.stringify({
    requests: trips.length,
    perSecond: trips.length / elapsed,
    ...latencies(trips),
    errors,
  }),
);
