/** The processes of run.mjs and many.mjs: on free ports of this machine, ended with the program that has started them. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** Fairlead, as this checkout has built it. */
export const program = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
/** Where all of them work, and etcd stores what it has. */
export const folder = mkdtempSync(join(tmpdir(), 'fairlead-cluster-'));
const children = new Set();

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** @param stderr `ignore` for programs that say much of themselves */
export function start(command, args, { env = {}, stderr = 'inherit' } = {}) {
  const child = spawn(command, args.map(String), {
    cwd: folder,
    stdio: ['ignore', 'ignore', stderr],
    env: { ...process.env, ...env },
  });
  child.on('error', (error) => {
    console.error(`${command}: ${error.message}`);
    process.exit(1);
  });
  children.add(child);
  return child;
}

export function end(child, signal = 'SIGKILL') {
  children.delete(child);
  return new Promise((resolve) => {
    child.on('exit', resolve);
    child.kill(signal);
  });
}

export function freePorts(count) {
  return Promise.all(Array.from({ length: count }, freePort));
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export async function until(what, probe) {
  const deadline = Date.now() + 30_000;
  while (!(await probe().catch(() => false))) {
    if (Date.now() > deadline) throw new Error(`not within 30 s: ${what}`);
    await sleep(5);
  }
}

/** Started again on the same ports, it has what it had. */
export async function startEtcd(port, peerPort) {
  const url = `http://127.0.0.1:${port}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const args = [
    '--name=one',
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=one=${peer}`,
    '--auto-compaction-retention=1h',
  ];
  const etcd = start('etcd', args, { stderr: 'ignore' });
  await until('etcd', async () => (await fetch(`${url}/health`)).ok);
  return etcd;
}

/** It keeps nothing: started again, it is empty. */
export function startRedis(port) {
  const args = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  return start('redis-server', args, { stderr: 'ignore' });
}
