/**
 * Three instances, an etcd, a Redis, three backends and a load on one machine: kills one part after the other, and prints what clients saw.
 * `node examples/cluster/run.mjs [seconds that etcd is away]`, in a checkout that is built, on a machine that has etcd and redis-server.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { end, folder, freePorts, program, start, startEtcd, startRedis, until } from './parts.mjs';

/** Of /quota, at all instances together. */
const LIMIT = 200;
const ETCD_AWAY_S = Number(process.argv[2] ?? 5);
const here = fileURLToPath(new URL('.', import.meta.url));
const [etcdPort, peerPort, redisPort, ...ports] = await freePorts(12);
const backendPorts = ports.slice(0, 3);
const instances = ports.slice(3, 6).map((port, index) => ({
  name: `i${index + 1}`,
  port,
  adminPort: ports[6 + index],
}));

function startInstance({ name, port, adminPort }) {
  const config = ['--config', join(folder, 'instance.yaml')];
  const args = [program, ...config, '--port', port, '--admin-port', adminPort];
  const env = {
    INSTANCE: name,
    ETCD: `http://127.0.0.1:${etcdPort}`,
    REDIS: `redis://127.0.0.1:${redisPort}`,
  };
  return start(process.execPath, args, { env });
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
function get(port, path = '/') {
  return new Promise((resolve) => {
    const asked = http.get({ port, host: '127.0.0.1', path, agent }, (response) => {
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

/** Asks all instances for more of /quota than all of them together allow. @returns what they did allow. */
async function overTheLimit(seconds) {
  const begun = performance.now();
  const asked = [];
  for (let sent = 0; performance.now() < begun + seconds * 1000; sent++) {
    asked.push(get(instances[sent % instances.length].port, '/quota'));
    const dueMs = begun + (sent * 1000) / (3 * LIMIT) - performance.now();
    if (dueMs > 1) await sleep(dueMs);
  }
  const results = await Promise.all(asked);
  const per = (results.filter((result) => result === '200').length / seconds).toFixed(0);
  const odd = results.filter((result) => result !== '200' && result !== '429').length;
  seen.failed += odd;
  return `${per} a second allowed, where the limit is ${LIMIT}; ${odd} neither allowed nor refused`;
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
let shop = readFileSync(join(here, 'shop.yaml'), 'utf8')
  .replace('2379', String(etcdPort))
  .replace('6379', String(redisPort));
for (const [index, port] of backendPorts.entries())
  shop = shop.replace(`808${index + 1}`, String(port));
writeFileSync(join(folder, 'shop.yaml'), shop);

let etcd = await startEtcd(etcdPort, peerPort);
let redis = startRedis(redisPort);
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
await act('a limit of all instances', () => overTheLimit(2));
await act('Redis is frozen', async () => {
  redis.kill('SIGSTOP');
  return overTheLimit(2);
});
await act('Redis goes on', async () => {
  redis.kill('SIGCONT');
  return overTheLimit(2);
});
await act('Redis is killed', async () => {
  await end(redis);
  return overTheLimit(2);
});
await act('Redis comes back, empty', () => {
  redis = startRedis(redisPort);
  return overTheLimit(2);
});
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
  const at = performance.now();
  etcd = await startEtcd(etcdPort, peerPort);
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
