/**
 * CPU time per request of Fairlead beside HAProxy and nginx, in the same run: rounds are interleaved and medians are
 * compared, because one machine's minutes differ more than the programs do.
 *
 * The proxy under test has one core, the backend (nginx) and the load (wrk) have the other. CPU time is what the system
 * booked to the proxy's process: all threads, user and system, access log included.
 *
 *   npm run bench                  5 rounds of 5 s each
 *   npm run bench -- --rounds 3 --seconds 3 --node /path/to/another/node
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '64' },
    node: { type: 'string', default: process.execPath },
  },
});
const ROUNDS = Number(options.rounds);
const SECONDS = Number(options.seconds);
const PROXY_CORE = '0';
const OTHER_CORE = '1';
const BODY = '0123456789'.repeat(10);
/** USER_HZ: what /proc/PID/stat counts in. 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

const COMMAND = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

const folder = mkdtempSync(join(tmpdir(), 'fairlead-bench-'));
const children = [];

function isInstalled(program) {
  return spawnSync('which', [program]).status === 0;
}

function write(name, text) {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function start(core, command, commandArguments, env = {}) {
  const child = spawn('taskset', ['-c', core, command, ...commandArguments], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...env },
  });
  children.push(child);
  return child.pid;
}

async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function untilOpen(port) {
  for (let tries = 0; tries < 100; tries++) {
    const isOpen = await new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (isOpen) return;
    await sleep(100);
  }
  throw new Error(`nothing listens on port ${port} after 10 s`);
}

function nginxConfig(name, listen, location, upstream = '') {
  return write(
    `${name}.conf`,
    `daemon off; master_process off; worker_processes 1; pid ${folder}/${name}.pid; error_log /dev/null;
events { worker_connections 8192; }
http {
  access_log ${name === 'backend' ? 'off' : `${folder}/${name}.log combined buffer=64k`};
  keepalive_requests 100000000; keepalive_timeout 300s;
  client_body_temp_path ${folder}/t1; proxy_temp_path ${folder}/t2; fastcgi_temp_path ${folder}/t3;
  uwsgi_temp_path ${folder}/t4; scgi_temp_path ${folder}/t5;
  ${upstream}
  server { listen 127.0.0.1:${listen} backlog=4096; location / { ${location} } }
}
`,
  );
}

async function startPeers(backendPort) {
  const peers = [];
  const fairlead = await freePort();
  peers.push({
    name: 'fairlead',
    port: fairlead,
    pid: start(
      PROXY_CORE,
      options.node,
      [
        COMMAND,
        `http://127.0.0.1:${backendPort}`,
        '--port',
        String(fairlead),
        '--admin-port',
        String(await freePort()),
        '--health-check-method',
        'tcp',
        '--threads',
        '1',
      ],
      { FAIRLEAD_ACCESS_LOG: join(folder, 'fairlead-access.log') },
    ),
  });
  if (isInstalled('haproxy')) {
    const port = await freePort();
    const config = write(
      'haproxy.cfg',
      `global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 2s
  timeout client 75s
  timeout server 10s
  option forwardfor
frontend all
  bind 127.0.0.1:${port}
  default_backend one
backend one
  http-reuse always
  server one 127.0.0.1:${backendPort} check
`,
    );
    peers.push({ name: 'haproxy', port, pid: start(PROXY_CORE, 'haproxy', ['-q', '-f', config]) });
  }
  if (isInstalled('nginx')) {
    const port = await freePort();
    const config = nginxConfig(
      'nginx',
      port,
      'proxy_pass http://one; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;',
      `upstream one { server 127.0.0.1:${backendPort}; keepalive 256; keepalive_requests 100000000; }`,
    );
    peers.push({ name: 'nginx', port, pid: start(PROXY_CORE, 'nginx', ['-c', config]) });
  }
  for (const { port } of peers) await untilOpen(port);
  return peers;
}

/** User and system ticks of the process, all its threads. */
function ticks(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { user: Number(fields[11]), system: Number(fields[12]) };
}

function residentMiB(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1]) / 1024;
}

function load(port) {
  const result = spawnSync(
    'taskset',
    [
      '-c',
      OTHER_CORE,
      'wrk',
      '-t1',
      `-c${options.connections}`,
      `-d${SECONDS}s`,
      '--latency',
      `http://127.0.0.1:${port}/`,
    ],
    { encoding: 'utf8' },
  );
  const requests = Number(/(\d+) requests in/.exec(result.stdout)?.[1]);
  if (!(requests > 0)) throw new Error(`wrk failed: ${result.stdout}${result.stderr}`);
  const errors = /Non-2xx[^\d]*(\d+)|Socket errors: (.*)/.exec(result.stdout)?.[0] ?? 'none';
  return { requests, errors, p99: /99%\s+(\S+)/.exec(result.stdout)?.[1] ?? '?' };
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

async function main() {
  for (const needed of ['wrk', 'nginx', 'taskset']) {
    if (!isInstalled(needed))
      throw new Error(`${needed} is not installed (Debian: apt-get install wrk nginx-light)`);
  }
  for (const peer of ['haproxy', 'nginx']) {
    if (!isInstalled(peer)) process.stdout.write(`${peer} is not installed: not compared\n`);
  }
  const backendPort = await freePort();
  start(OTHER_CORE, 'nginx', ['-c', nginxConfig('backend', backendPort, `return 200 "${BODY}";`)]);
  await untilOpen(backendPort);
  const peers = await startPeers(backendPort);
  for (const { port } of peers) load(port);

  const rounds = [];
  for (let round = 0; round < ROUNDS; round++) {
    const figures = {};
    for (const { name, pid, port } of peers) {
      const before = ticks(pid);
      const { requests, errors, p99 } = load(port);
      const after = ticks(pid);
      const microseconds = (spent) => (spent * 1e6) / TICKS_PER_SECOND / requests;
      figures[name] = {
        user: microseconds(after.user - before.user),
        system: microseconds(after.system - before.system),
        perSecond: requests / SECONDS,
        p99,
        errors,
        memory: residentMiB(pid),
      };
    }
    rounds.push(figures);
  }
  report(peers, rounds);
}

function cpu({ user, system }) {
  return user + system;
}

function report(peers, rounds) {
  const lines = [
    `Small keep-alive GET (${BODY.length} bytes), ${options.connections} connections, one core, ${ROUNDS} rounds of ${SECONDS} s, medians. Fairlead on Node ${spawnSync(options.node, ['--version'], { encoding: 'utf8' }).stdout.trim()}, access log on; HAProxy without a log, nginx with one.`,
    '',
    '| proxy | CPU µs/request | user | system | Fairlead ÷ it | requests/s | p99 | memory MiB | errors |',
    '|---|---|---|---|---|---|---|---|---|',
  ];
  for (const { name } of peers) {
    const of = (pick) => median(rounds.map((figures) => pick(figures[name])));
    const ratio = median(rounds.map((figures) => cpu(figures.fairlead) / cpu(figures[name])));
    const last = rounds.at(-1)[name];
    lines.push(
      `| ${name} | ${of(cpu).toFixed(1)} | ${of(({ user }) => user).toFixed(1)} | ${of(({ system }) => system).toFixed(1)} | ${ratio.toFixed(2)} | ${of(({ perSecond }) => perSecond).toFixed(0)} | ${last.p99} | ${of(({ memory }) => memory).toFixed(0)} | ${last.errors} |`,
    );
  }
  process.stdout.write(`${lines.join('\n')}\n`);
}

try {
  await main();
} finally {
  for (const child of children) child.kill();
  await sleep(500);
  rmSync(folder, { recursive: true, force: true });
}
