/**
 * A million requests through the real proxy, with clients that leave, clients that reset, backends that reset, close and
 * trickle mixed in. At the end nothing may be left: no request in flight, no client connection, sockets back to idle,
 * memory where it was. Prints the figures; exits 1 if one of them is off.
 *
 *   npm run soak                          1,000,000 requests (a few minutes)
 *   npm run soak -- --requests 100000
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: {
    requests: { type: 'string', default: '1000000' },
    connections: { type: 'string', default: '64' },
    node: { type: 'string', default: process.execPath },
    backend: { type: 'boolean', default: false },
  },
});
const REQUESTS = Number(options.requests);
const CONNECTIONS = Number(options.connections);
/** Memory may be this much above where it was after a quarter of the requests. */
const MEMORY_SLACK_MIB = 40;
const DEADLINE_MS = 20 * 60_000;

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

// ── The backends: one process, three ports ────────────────────────────────────────────────────────────────────────

const BIG = 'x'.repeat(200_000);

/** What a backend does is in the path, so that a run is the same whatever the timing. */
function answer(socket, path) {
  switch (path) {
    case '/reset-before':
      socket.resetAndDestroy();
      break;
    case '/reset-head':
      socket.write('HTTP/1.1 200 OK\r\nContent-Le', () => socket.resetAndDestroy());
      break;
    case '/reset-body':
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', () =>
        socket.resetAndDestroy(),
      );
      break;
    case '/garbage':
      socket.write('NONSENSE\r\n\r\n');
      break;
    case '/close':
      socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok');
      break;
    case '/close-silently':
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      break;
    case '/chunked':
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n');
      break;
    case '/big':
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${BIG.length}\r\n\r\n${BIG}`);
      break;
    case '/never':
      break;
    default:
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  }
}

function startBackend() {
  const server = net.createServer((socket) => {
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      for (;;) {
        const end = text.indexOf('\r\n\r\n');
        if (end === -1) return;
        const length = Number(/content-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
        if (text.length < end + 4 + length) return;
        const path = text.slice(text.indexOf(' ') + 1, text.indexOf(' ', text.indexOf(' ') + 1));
        text = text.slice(end + 4 + length);
        answer(socket, path);
      }
    });
  });
  server.listen(0, '127.0.0.1', () => process.send(server.address().port));
}

// ── The clients ───────────────────────────────────────────────────────────────────────────────────────────────────

const counts = { ok: 0, bad: 0, cut: 0, aborted: 0, reset: 0 };
let started = 0;

function request(path, extra = '') {
  return `GET ${path} HTTP/1.1\r\nHost: soak\r\n${extra}\r\n`;
}

const POST = 'POST /post HTTP/1.1\r\nHost: soak\r\nContent-Length: 5\r\n\r\nhello';
const CHUNKED_POST =
  'POST /post HTTP/1.1\r\nHost: soak\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n';

/** The kinds of traffic, by how often they come in a thousand. */
const KINDS = [
  [800, () => ({ text: request('/'), ends: 'response' })],
  [60, () => ({ text: POST, ends: 'response' })],
  [40, () => ({ text: CHUNKED_POST, ends: 'response' })],
  [30, () => ({ text: request('/chunked'), ends: 'response' })],
  [10, () => ({ text: request('/close'), ends: 'response' })],
  [10, () => ({ text: request('/close-silently'), ends: 'response' })],
  [10, () => ({ text: request('/big'), ends: 'response' })],
  [5, () => ({ text: request('/reset-before'), ends: 'response' })],
  [5, () => ({ text: request('/reset-head'), ends: 'response' })],
  [5, () => ({ text: request('/reset-body'), ends: 'cut' })],
  [5, () => ({ text: request('/garbage'), ends: 'response' })],
  [5, () => ({ text: request('/big'), ends: 'abort' })],
  [5, () => ({ text: request('/big'), ends: 'reset' })],
  [4, () => ({ text: request('/never'), ends: 'abort' })],
  [3, () => ({ text: POST.slice(0, -2), ends: 'reset' })],
  [3, () => ({ text: request('/').slice(0, 20), ends: 'abort' })],
];

/** The same order in every run: a small linear congruential generator. */
let seed = 42;
function random() {
  seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
  return seed / 2_147_483_648;
}

function nextKind() {
  let left = random() * 1000;
  for (const [share, make] of KINDS) {
    left -= share;
    if (left < 0) return make();
  }
  return KINDS[0][1]();
}

/** The length of the complete response at the start of `text`, or −1. */
function completeLength(text) {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return -1;
  const head = text.slice(0, end);
  if (/transfer-encoding: chunked/i.test(head)) {
    const last = text.indexOf('0\r\n\r\n', end + 4);
    return last === -1 ? -1 : last + 5;
  }
  const total = end + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
  return text.length >= total ? total : -1;
}

/** One client: connection after connection, request after request, until the number is reached. */
async function client(port) {
  while (started < REQUESTS) await connection(port);
}

function connection(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    let text = '';
    let current = null;
    const next = () => {
      if (started >= REQUESTS) {
        socket.end();
        return;
      }
      started++;
      current = nextKind();
      text = '';
      socket.write(current.text, () => {
        if (current.ends === 'response' || current.ends === 'cut') return;
        counts[current.ends === 'abort' ? 'aborted' : 'reset']++;
        // After the write, and after the loop has turned: the proxy is then in the middle of it.
        setImmediate(() => {
          if (current.ends === 'abort') socket.destroy();
          else socket.resetAndDestroy();
        });
      });
    };
    socket.on('connect', next);
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      if (current.ends !== 'response') return;
      const length = completeLength(text);
      if (length === -1) return;
      counts[text.startsWith('HTTP/1.1 200') ? 'ok' : 'bad']++;
      const isLast = /connection: close/i.test(text.slice(0, text.indexOf('\r\n\r\n')));
      current = null;
      if (isLast) socket.end();
      else next();
    });
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      if (current?.ends === 'cut') counts.cut++;
      else if (current?.ends === 'response') counts.bad++;
      resolve();
    });
  });
}

// ── The run ───────────────────────────────────────────────────────────────────────────────────────────────────────

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

function residentMiB(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1]) / 1024;
}

function descriptors(pid) {
  return readdirSync(`/proc/${pid}/fd`).length;
}

async function run() {
  const self = fileURLToPath(import.meta.url);
  const backends = [1, 2, 3].map(() =>
    spawn(process.execPath, [self, '--backend'], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    }),
  );
  const ports = await Promise.all(backends.map(async (child) => (await once(child, 'message'))[0]));
  const port = await freePort();
  const adminPort = await freePort();
  const proxy = spawn(
    options.node,
    [
      main,
      ...ports.map((backendPort) => `http://127.0.0.1:${backendPort}`),
      '--port',
      String(port),
      '--admin-port',
      String(adminPort),
      '--health-check-method',
      'tcp',
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  try {
    return await measure(proxy.pid, port, adminPort);
  } finally {
    proxy.kill();
    for (const child of backends) child.kill();
  }
}

async function measure(pid, port, adminPort) {
  const status = async () => (await fetch(`http://127.0.0.1:${adminPort}/status`)).json();
  const metric = async (name) => {
    const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1]);
  };
  for (let tries = 0; tries < 100; tries++) {
    const isReady = await fetch(`http://127.0.0.1:${adminPort}/readyz`).then(
      (answered) => answered.ok,
      () => false,
    );
    if (isReady) break;
    await sleep(100);
  }
  const startedAt = performance.now();
  const before = { memory: residentMiB(pid), descriptors: descriptors(pid) };
  const samples = [];
  const clients = Array.from({ length: CONNECTIONS }, () => client(port));
  const timer = setInterval(() => {
    samples.push({ done: started, memory: residentMiB(pid) });
    process.stdout.write(`${started} requests, ${residentMiB(pid).toFixed(0)} MiB\n`);
    if (performance.now() - startedAt > DEADLINE_MS) process.exit(1);
  }, 10_000);
  await Promise.all(clients);
  clearInterval(timer);
  const seconds = (performance.now() - startedAt) / 1000;

  let inFlight = -1;
  let clientConnections = -1;
  for (let tries = 0; tries < 100; tries++) {
    inFlight = (await status()).backends.reduce((sum, { conns }) => sum + conns, 0);
    clientConnections = await metric('fairlead_client_connections');
    if (inFlight === 0 && clientConnections === 0) break;
    await sleep(100);
  }
  const after = { memory: residentMiB(pid), descriptors: descriptors(pid) };
  // V8 lets a heap grow to its working size over the first collections of everything; after that it must not grow.
  const settled = samples.find(({ done }) => done >= REQUESTS / 4)?.memory ?? after.memory;
  const { backends } = await status();
  process.stdout.write(
    `${JSON.stringify({ requests: started, seconds: Math.round(seconds), ...counts, in_flight: inFlight, client_connections: clientConnections, alive: backends.filter(({ alive }) => alive).length, descriptors_before: before.descriptors, descriptors_after: after.descriptors, memory_mib: { start: Math.round(before.memory), quarter: Math.round(settled), end: Math.round(after.memory) } }, null, 2)}\n`,
  );
  return (
    inFlight === 0 &&
    clientConnections === 0 &&
    after.memory <= settled + MEMORY_SLACK_MIB &&
    counts.ok > 0
  );
}

if (options.backend) startBackend();
else process.exitCode = (await run()) ? 0 : 1;
