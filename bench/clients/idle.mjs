/**
 * Opens connections, sends one request over each, and keeps them open until its standard input ends.
 * `node idle.mjs PORT COUNT`; prints `{}` when all had their answer or were closed, `{"open"}` at the end. When they take
 * too long it prints `{"error"}` and ends.
 */
import net from 'node:net';

const [port, count] = process.argv.slice(2).map(Number);
/** At once in the making: fewer than any listener's backlog. */
const PARALLEL = 100;
const REQUEST = 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';

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

function connectOne() {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(REQUEST));
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      if (!isComplete(text)) return;
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
