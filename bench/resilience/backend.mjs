/**
 * Backends that do as they are told, in a process of their own that can be killed. Started by place.mjs:
 *
 *   node backend.mjs IDS_FILE PORT…
 *
 * A message `{ number, port?, behaviour? }` changes what one of them does, or all; the answer `{ number, requests }`
 * says how many requests each has had.
 */
import { openSync, writeSync } from 'node:fs';
import net from 'node:net';

/**
 * @typedef {object} Behaviour
 * @property {number} delayMs before every answer
 * @property {number} closesAfter answers on one connection, without saying so; 0: never
 * @property {'with the answer' | 'soon' | 'on the next request'} closesHow
 * @property {boolean} isFailing reads requests and closes without an answer
 * @property {string} body of every answer
 */

/** @type {Behaviour} */
const INITIAL = {
  delayMs: 0,
  closesAfter: 0,
  closesHow: 'with the answer',
  isFailing: false,
  body: 'ok',
};
const SWITCHED =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';
/** Of a client's frame (RFC 6455 §5.2): two bytes, a mask of four, and four of text. All are like that. */
const FRAME_BYTES = 10;
/** About as long as a client takes to send its next request. */
const SOON_MS = 2;

const [idsFile, ...ports] = process.argv.slice(2);
const ids = openSync(idsFile, 'a');
const requests = Object.fromEntries(ports.map((port) => [port, 0]));
const behaviours = Object.fromEntries(ports.map((port) => [port, INITIAL]));

function serve(port, socket) {
  let text = '';
  let answered = 0;
  let isTunnel = false;
  function onRequest() {
    const { delayMs, closesAfter, closesHow, isFailing } = behaviours[port];
    const isUsedUp = closesAfter > 0 && answered >= closesAfter;
    if (isFailing) socket.end();
    else if (isUsedUp && closesHow === 'on the next request') socket.resetAndDestroy();
    else if (delayMs > 0) setTimeout(reply, delayMs);
    else reply();
  }
  function reply() {
    const { closesAfter, closesHow, body } = behaviours[port];
    const answer = `HTTP/1.1 200 OK\r\nX-Backend: ${port}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    answered++;
    const isLast = closesAfter > 0 && answered >= closesAfter;
    if (isLast && closesHow === 'with the answer') {
      socket.end(answer);
      return;
    }
    socket.write(answer);
    if (isLast && closesHow === 'soon') {
      setTimeout(() => socket.destroy(), Math.random() * SOON_MS);
    }
  }
  /** Each frame as it came, without its mask of zeros. */
  function echo() {
    for (; text.length >= FRAME_BYTES; text = text.slice(FRAME_BYTES)) {
      socket.write(`\x81\x04${text.slice(FRAME_BYTES - 4, FRAME_BYTES)}`, 'latin1');
    }
  }
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
    if (isTunnel) echo();
    while (!isTunnel) {
      const end = text.indexOf('\r\n\r\n');
      if (end === -1) return;
      const head = text.slice(0, end);
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (text.length < end + 4 + length) return;
      text = text.slice(end + 4 + length);
      requests[port]++;
      const id = /x-id: (\S+)/i.exec(head)?.[1];
      // At once: whoever is killed must have said what it had read.
      if (id !== undefined) writeSync(ids, `${id}\n`);
      isTunnel = /\r\nupgrade: websocket/i.test(head);
      if (isTunnel) socket.write(SWITCHED, 'latin1');
      else onRequest();
    }
  });
}

/** A port that this backend had before may be a client's meanwhile, for a moment. */
function listen(port) {
  return new Promise((resolve) => {
    const server = net.createServer({ noDelay: true }, (socket) => serve(port, socket));
    const again = () =>
      server.listen({ port: Number(port), host: '127.0.0.1', backlog: 1024 }, resolve);
    server.on('error', () => setTimeout(again, 50));
    again();
  });
}

const listening = ports.map(listen);

process.on('message', async ({ number, port, behaviour }) => {
  await Promise.all(listening);
  for (const one of port === undefined ? ports : [port]) {
    behaviours[one] = { ...behaviours[one], ...behaviour };
  }
  process.send({ number, requests });
});
process.on('disconnect', () => process.exit());
