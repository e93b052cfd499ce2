/**
 * Three instances, an etcd, three backends and a load on one machine: kills one part after the other, and prints what clients saw.
 * `node examples/cluster/run.mjs [seconds that etcd is away]`, in a checkout that is built, on a machine that has etcd.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ETCD_AWAY_S = Number(process.argv[2] ?? 5);
const here = fileURLToPath(new URL('.', import.meta.url));
const program = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'fairlead-cluster-'));
const children = new Set();

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** etcd says much of itself. */
function start(command, args, env = {}, stderr = 'inherit') {
  const child = spawn(command, args, {
    cwd: folder,
    stdio: ['ignore', 'pipe', stderr],
    env: { ...process.env, ...env },
  });
  child.stdout.resume();
  child.on('error', (error) => {
    console.error(`${command}: ${error.message}`);
    process.exit(1);
  });
  children.add(child);
  return child;
}

function end(child, signal = 'SIGKILL') {
  children.delete(child);
  return new Promise((resolve) => {
    child.on('exit', resolve);
    child.kill(signal);
  });
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function until(what, probe) {
  const deadline = Date.now() + 20_000;
  while (!(await probe().catch(() => false))) {
    if (Date.now() > deadline) throw new Error(`not within 20 s: ${what}`);
    await sleep(5);
  }
}

const [etcdPort, peerPort, ...ports] = await Promise.all(Array.from({ length: 11 }, freePort));
const backendPorts = ports.slice(0, 3);
const instances = ports.slice(3, 6).map((port, index) => ({
  name: `i${index + 1}`,
  port,
  adminPort: ports[6 + index],
}));

function startEtcd() {
  const url = `http://127.0.0.1:${etcdPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  return start(
    'etcd',
    [
      '--name=one',
      `--data-dir=${join(folder, 'etcd')}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=one=${peer}`,
      '--auto-compaction-retention=1h',
    ],
    {},
    'ignore',
  );
}

function startInstance({ name, port, adminPort }) {
  const config = ['--config', join(folder, 'instance.yaml')];
  const args = [program, ...config, '--port', port, '--admin-port', adminPort];
  return start(process.execPath, args.map(String), {
    INSTANCE: name,
    ETCD: `http://127.0.0.1:${etcdPort}`,
  });
}

async function api({ adminPort }, method, path, body) {
  const begun = performance.now();
  const response = await fetch(`http://127.0.0.1:${adminPort}${path}`, {
    method,
    ...(body && { body: JSON.stringify(body) }),
  });
  const answer = await response.json();
  return { status: response.status, answer, ms: performance.now() - begun };
}

const seen = { sent: 0, failed: 0, by: new Map(), latencies: [] };
const over = new AbortController();
const agent = new http.Agent({ keepAlive: true });

/** A client asks the next instance where one refuses it, as a balancer before them would. */
function get(port) {
  return new Promise((resolve) => {
    const asked = http.get({ port, host: '127.0.0.1', path: '/', agent }, (response) => {
      response.resume();
      response.on('end', () => resolve(String(response.statusCode)));
    });
    asked.on('error', ({ code }) => resolve(code));
  });
}

async function client(index) {
  for (let turn = index; !over.signal.aborted; turn++) {
    const begun = performance.now();
    let result = '';
    for (let tries = 0; tries < instances.length && result !== '200'; tries++) {
      result = await get(instances[(turn + tries) % instances.length].port);
      if (result !== 'ECONNREFUSED' && result !== 'ECONNRESET') break;
    }
    seen.sent++;
    seen.latencies.push(performance.now() - begun);
    if (result !== '200') seen.failed++;
    seen.by.set(result, (seen.by.get(result) ?? 0) + 1);
    await sleep(2);
  }
}

async function act(title, work) {
  const before = { sent: seen.sent, failed: seen.failed };
  seen.latencies.length = 0;
  const said = await work();
  const sorted = seen.latencies.toSorted((a, b) => a - b);
  const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? 0;
  const requests = `${seen.sent - before.sent} requests, ${seen.failed - before.failed} failed, p99 ${p99.toFixed(1)} ms`;
  console.log(`${title}: ${requests}${said ? `; ${said}` : ''}`);
}

writeFileSync(join(folder, 'instance.yaml'), readFileSync(join(here, 'instance.yaml')));
let shop = readFileSync(join(here, 'shop.yaml'), 'utf8').replace('2379', String(etcdPort));
for (const [index, port] of backendPorts.entries())
  shop = shop.replace(`808${index + 1}`, String(port));
writeFileSync(join(folder, 'shop.yaml'), shop);

let etcd = startEtcd();
await until('etcd', async () => (await fetch(`http://127.0.0.1:${etcdPort}/health`)).ok);
const begun = spawnSync(process.execPath, [program, 'cluster', 'init', '--config', 'shop.yaml'], {
  cwd: folder,
  encoding: 'utf8',
});
console.log((begun.stdout + begun.stderr).trim());
const backends = backendPorts.map((port) =>
  start(process.execPath, [program, 'backend', '--port', String(port)]),
);
const running = instances.map(startInstance);
for (const one of instances) {
  await until(
    `${one.name} is ready`,
    async () => (await api(one, 'GET', '/readyz')).status === 200,
  );
  await until('its backends', async () => (await get(one.port)) === '200');
}
const [first, second, third] = instances;
/** While nobody else asks for anything: what is measured is the way of the change. */
await act('a weight changes ten times at i1', async () => {
  const times = [];
  for (let weight = 2; weight < 12; weight++) {
    await api(first, 'PATCH', '/pools/web/backends/0', { weight });
    const told = performance.now();
    await until(
      'it is at i2',
      async () => (await api(second, 'GET', '/pools/web/backends/0')).answer.weight === weight,
    );
    times.push(performance.now() - told);
  }
  return `seen at i2 after ${times.toSorted((a, b) => a - b)[5].toFixed(1)} ms (p50, asking included)`;
});
const clients = Array.from({ length: 6 }, (_, index) => client(index));

await act('all is well', () => sleep(2000));
await act('a backend is drained at i2, and killed', async () => {
  await api(second, 'PATCH', '/pools/web/backends/2?wait=all', { state: 'draining' });
  await sleep(300);
  await end(backends[2]);
  await sleep(500);
});
await act('a backend is killed', async () => {
  await end(backends[1]);
  await sleep(1500);
});
await act(`etcd is killed for ${ETCD_AWAY_S} s`, async () => {
  await end(etcd);
  await sleep(1500);
  const refused = [];
  for (let tries = 0; tries < 5; tries++) {
    const { status, ms } = await api(first, 'PATCH', '/pools/web/backends/0', { weight: 1 });
    refused.push(`${status} in ${ms.toFixed(0)} ms`);
  }
  await sleep(Math.max(0, ETCD_AWAY_S - 1.5) * 1000);
  return `changes: ${refused.join(', ')}`;
});
await act('i3 is killed and started while etcd is away', async () => {
  await end(running[2]);
  const at = performance.now();
  running[2] = startInstance(third);
  await until('i3 serves', async () => (await get(third.port)) === '200');
  const ms = performance.now() - at;
  const { answer } = await api(third, 'GET', '/readyz');
  return `it serves from its disk after ${ms.toFixed(0)} ms, and says "degraded": ${answer.degraded}`;
});
await act('etcd comes back', async () => {
  etcd = startEtcd();
  const at = performance.now();
  await until(
    'a change at i3',
    async () =>
      (await api(third, 'PATCH', '/pools/web/backends/0?wait=all', { weight: 3 })).status === 200,
  );
  return `a change is at all instances ${(performance.now() - at).toFixed(0)} ms after it was started`;
});
over.abort();
await Promise.all(clients);
console.log(
  `in all ${seen.sent} requests, ${seen.failed} failed: ${[...seen.by].map(([what, count]) => `${what} ${count}`).join(', ')}`,
);
agent.destroy();
await Promise.all(running.map((child) => end(child, 'SIGTERM')));
process.exit(seen.failed === 0 ? 0 : 1);
