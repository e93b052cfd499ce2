/**
 * Opens connections, sends one request over each, and keeps them open until its standard input ends.
 * `node idle.mjs PORT COUNT [http1|h2c|h2]`; prints `{}` when all had their answer or were closed, `{"open"}` at the end. When
 * they take too long it prints `{"error"}` and ends. `h2`: HTTP/2 over TLS, `h2c`: in the clear.
 */
import net from 'node:net';
import tls from 'node:tls';
import {
  ACK,
  block,
  END_HEADERS,
  END_STREAM,
  FrameSplitter,
  frame,
  HEADERS,
  PREFACE,
  request,
  SETTINGS,
  settings,
} from '../http2-frames.mjs';

const [port, count] = process.argv.slice(2, 4).map(Number);
const protocol = process.argv[4] ?? 'http1';
/** At once in the making: fewer than any listener's backlog. */
const PARALLEL = 100;
const REQUEST = 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
const STREAM = 1;
const HEAD = block(request('/', { scheme: protocol === 'h2' ? 'https' : 'http' }));
const HTTP2_REQUEST = Buffer.concat([
  PREFACE,
  settings(),
  frame(HEADERS, END_HEADERS | END_STREAM, STREAM, HEAD),
]);

/** For all of them. */
const OPENING_MS = 60_000;

let begun = 0;
const open = new Set();

/** Whether the whole response is there. All of them have a length. */
function isComplete(text) {
  const end = text.indexOf('\r\n\r\n');
  const length = /content-length: *(\d+)/i.exec(text.slice(0, end))?.[1];
  return end !== -1 && text.length >= end + 4 + Number(length ?? 0);
}

/** @returns what tells of the bytes that come whether the response is complete with them */
function http1Answer() {
  let text = '';
  return (bytes) => {
    text += bytes.toString('latin1');
    return isComplete(text);
  };
}

function http2Answer(socket) {
  const splitter = new FrameSplitter();
  return (bytes) => {
    const frames = splitter.push(bytes);
    const wants = frames.some(({ type, flags }) => type === SETTINGS && (flags & ACK) === 0);
    if (wants) socket.write(frame(SETTINGS, ACK, 0));
    // The flag has another meaning in SETTINGS and PING, which are of no stream.
    return frames.some(({ streamId, flags }) => streamId === STREAM && (flags & END_STREAM) !== 0);
  };
}

function connect(onConnected) {
  if (protocol !== 'h2') return net.connect(port, '127.0.0.1', onConnected);
  const target = { port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] };
  return tls.connect(target, onConnected);
}

function connectOne() {
  return new Promise((resolve) => {
    const isHttp1 = protocol === 'http1';
    const socket = connect(() => socket.write(isHttp1 ? REQUEST : HTTP2_REQUEST));
    const isAnswered = isHttp1 ? http1Answer() : http2Answer(socket);
    socket.on('data', (bytes) => {
      if (!isAnswered(bytes)) return;
      open.add(socket);
      resolve();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      open.delete(socket);
      resolve();
    });
  });
}

async function connectMany() {
  while (begun < count) {
    begun++;
    await connectOne();
  }
}

function print(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

const deadline = setTimeout(() => {
  print({
    error: `${open.size} of ${count} idle connections had an answer within ${OPENING_MS / 1000} s`,
  });
  process.exit(1);
}, OPENING_MS);
await Promise.all(Array.from({ length: PARALLEL }, connectMany));
clearTimeout(deadline);
print({});
process.stdin.resume();
process.stdin.on('end', () => {
  print({ open: open.size });
  for (const socket of open) socket.destroy();
});
