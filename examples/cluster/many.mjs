/**
 * 1,000 backends in 100 pools from etcd: how long a start takes, when a change is in force at another instance, and what 100 changes a second
 * cost requests, beside what etcd costs them that writes as much on the same machine.
 * `node examples/cluster/many.mjs [seconds of changes]`, in a checkout that is built, on a machine that has etcd.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { folder, freePorts, program, start, startEtcd, until } from './parts.mjs';

const SECONDS = Number(process.argv[2] ?? 60);
const POOLS = 100;
const BACKENDS = 10;
const CHANGES_PER_SECOND = 100;
const REQUESTS_PER_SECOND = 500;

const [etcdPort, peerPort, port, adminPort, backendPort, otherPort, otherAdminPort] =
  await freePorts(7);
const etcdUrl = `http://127.0.0.1:${etcdPort}`;
await startEtcd(etcdPort, peerPort);

/** All backends are one server, under addresses of their own. */
const backend = http.createServer((_request, response) => response.end('ok'));
backend.listen(backendPort, '0.0.0.0');
const urlOf = (pool, index) => `http://127.0.${pool + 1}.${index + 1}:${backendPort}`;

const pools = Object.fromEntries(
  Array.from(Array(POOLS).keys(), (pool) => [
    `p${pool}`,
    {
      health_check: { method: 'tcp', frequency: '30s' },
      backends: Array.from(Array(BACKENDS).keys(), (index) => urlOf(pool, index)),
    },
  ]),
);
const routes = Object.keys(pools).map((pool) => ({ path: `/${pool}/`, pool }));
const cluster = { etcd: { endpoints: [etcdUrl] } };
const file = join(folder, 'shop.json');
writeFileSync(file, JSON.stringify({ cluster, pools, routes, access_log: false }));
const init = spawnSync(process.execPath, [program, 'cluster', 'init', '--config', file], {
  encoding: 'utf8',
});
console.log((init.stdout + init.stderr).trim());
for (const instance of ['one', 'other']) {
  const own = { cluster: { ...cluster, instance }, access_log: false };
  writeFileSync(join(folder, `${instance}.json`), JSON.stringify(own));
}

function startInstance(name, itsPort, itsAdminPort) {
  const config = join(folder, `${name}.json`);
  const ports = ['--port', itsPort, '--admin-port', itsAdminPort];
  return start(process.execPath, [program, '--config', config, ...ports]);
}

const startedAt = performance.now();
startInstance('one', port, adminPort);
await until('it serves', async () => (await fetch(`http://127.0.0.1:${port}/p99/`)).status === 200);
console.log(`a start takes ${Math.round(performance.now() - startedAt)} ms to the first answer`);

const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
let failed = 0;

function request(path) {
  const begun = performance.now();
  return new Promise((resolve) => {
    const done = (isFine) => {
      if (!isFine) failed++;
      resolve(performance.now() - begun);
    };
    const asked = http.get({ host: '127.0.0.1', port, path, agent }, (response) => {
      response.resume();
      response.on('end', () => done(response.statusCode === 200));
    });
    asked.on('error', () => done(false));
  });
}

/** At a steady rate, whatever answers take. */
async function load(seconds) {
  const latencies = [];
  const begun = performance.now();
  for (let sent = 0; sent < seconds * REQUESTS_PER_SECOND; sent++) {
    const dueMs = begun + (sent * 1000) / REQUESTS_PER_SECOND - performance.now();
    if (dueMs > 1) await sleep(dueMs);
    latencies.push(request(`/p${sent % POOLS}/`));
  }
  const sorted = (await Promise.all(latencies)).toSorted((a, b) => a - b);
  const at = (share) => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(2);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ${failed} failed`;
}

function base64(text) {
  return Buffer.from(text).toString('base64');
}

function put(key, value) {
  return { request_put: { key: base64(key), value: base64(value) } };
}

/**
 * Straight to etcd, as another instance would write: weights, which an operator sets.
 * @param below where: what is not below that of the instances is seen by none of them.
 */
async function change(seconds, below = '/fairlead/fairlead/cfg/') {
  const begun = performance.now();
  let count = 0;
  while (performance.now() < begun + seconds * 1000) {
    const [pool, weight] = [count % POOLS, 1 + (count % 50)];
    const object = { v: 1, url: urlOf(pool, 0), weight };
    const success = [
      put(`${below}ctl/p${pool}/by-hand`, JSON.stringify(object)),
      put(`${below}meta/head`, JSON.stringify({ v: 1, write: String(count), instance: 'other' })),
    ];
    await fetch(`${etcdUrl}/v3/kv/txn`, { method: 'POST', body: JSON.stringify({ success }) });
    count++;
    const dueMs = begun + (count * 1000) / CHANGES_PER_SECOND - performance.now();
    if (dueMs > 1) await sleep(dueMs);
  }
  return count;
}

/** How long after it was asked for a change is in force in all data threads of another instance, which then tells of it. */
async function visible(changes) {
  const other = startInstance('other', otherPort, otherAdminPort);
  const ready = `http://127.0.0.1:${otherAdminPort}/readyz`;
  await until('the other instance', async () => (await fetch(ready)).ok);
  const heard = new Map();
  const stop = new AbortController();
  const events = `http://127.0.0.1:${otherAdminPort}/events?type=backend.updated`;
  const { body } = await fetch(events, { signal: stop.signal });
  const follow = async () => {
    const text = new TextDecoder();
    let rest = '';
    for await (const bytes of body) {
      const lines = (rest + text.decode(bytes, { stream: true })).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith('data: ')) continue;
        const { id, weight } = JSON.parse(line.slice('data: '.length));
        heard.get(`${id} ${weight}`)?.(performance.now());
      }
    }
  };
  follow().catch(() => {});
  const admin = `http://127.0.0.1:${adminPort}`;
  const backends = await (await fetch(`${admin}/pools/p7/backends`)).json();
  const taken = [];
  for (let count = 0; count < changes; count++) {
    const { id } = backends[count % backends.length];
    const weight = 2 + count;
    const is = new Promise((resolve) => heard.set(`${id} ${weight}`, resolve));
    const asked = performance.now();
    const call = { method: 'PATCH', headers: { 'content-type': 'application/json' } };
    const url = `${admin}/pools/p7/backends/${id}`;
    const { status } = await fetch(url, { ...call, body: JSON.stringify({ weight }) });
    if (status !== 200) throw new Error(`a change was answered ${status}`);
    taken.push((await is) - asked);
    await sleep(50);
  }
  stop.abort();
  other.kill();
  const sorted = taken.toSorted((a, b) => a - b);
  const at = (share) => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`;
}

console.log(`a change is in force at the other instance: ${await visible(100)}`);
await load(3);
const SHORT = Math.min(SECONDS, 20);
console.log(`without changes: ${await load(SHORT)}`);
const [unseen] = await Promise.all([load(SHORT), change(SHORT, '/nobody/')]);
console.log(`with as many changes in etcd that are for nobody: ${unseen}`);
const [seen, count] = await Promise.all([load(SECONDS), change(SECONDS)]);
console.log(`with ${count} changes in ${SECONDS} s: ${seen}`);
process.exit(failed === 0 ? 0 : 1);
