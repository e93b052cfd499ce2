/** Instances of a cluster as their users run them, and clients that notice everything. */
import { writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { afterTest } from '../../../support/after-test.ts';
import { type Fairlead, runFairlead, startFairlead } from '../../../support/fairlead.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { awaitedLater, waitFor } from '../../../support/wait-for.ts';

export interface Answer {
  readonly status: number;
  readonly etag: string | null;
  readonly body: unknown;
  readonly ms: number;
}

export async function call(
  { adminUrl }: Pick<Fairlead, 'adminUrl'>,
  method: string,
  path: string,
  body?: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const begun = performance.now();
  const response = await fetch(`${adminUrl}${path}`, {
    method,
    headers,
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const ms = performance.now() - begun;
  return {
    status: response.status,
    etag: response.headers.get('etag'),
    body: JSON.parse(text),
    ms,
  };
}

/** The config of an instance. @param etcdUrl or of what stands before it. */
export function configOf(name: string, etcdUrl: string): Record<string, unknown> {
  return {
    access_log: false,
    threads: 2,
    cluster: { name: 'shop', instance: name, etcd: { endpoints: [etcdUrl] } },
  };
}

export interface InstanceOptions {
  /** Default: one of its own. */
  readonly cwd?: string;
  readonly more?: Readonly<Record<string, unknown>>;
}

export function startInstance(
  name: string,
  etcdUrl: string,
  { cwd = temporaryFolder(name), more = {} }: InstanceOptions = {},
): Promise<Fairlead> {
  return startFairlead({ cwd, config: { ...configOf(name, etcdUrl), ...more } });
}

/** `fairlead cluster …` with a file that has these pools and routes as well. */
export async function clusterCommand(
  words: readonly string[],
  etcdUrl: string,
  file: Readonly<Record<string, unknown>> = {},
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const cwd = temporaryFolder('command');
  const config = join(cwd, 'shop.json');
  writeFileSync(config, JSON.stringify({ ...configOf('command', etcdUrl), ...file }));
  return runFairlead(['cluster', ...words, '--config', config], { cwd });
}

export async function initCluster(
  etcdUrl: string,
  file: Readonly<Record<string, unknown>>,
): Promise<void> {
  const run = await clusterCommand(['init'], etcdUrl, file);
  expect(run).toMatchObject({ code: 0, stderr: expect.not.stringContaining('error') });
}

/** Backends of a pool as an instance has them: id, URL, what operators want. */
export async function backendsOf(instance: Fairlead, pool: string): Promise<string[]> {
  const { body } = await call(instance, 'GET', `/pools/${pool}/backends`);
  return (body as { id: number; url: string; state: string; weight: number }[]).map(
    ({ id, url, state, weight }) => `${id} ${url} ${state} ${weight}`,
  );
}

export interface Load {
  readonly sent: () => number;
  /** Of each that was not answered 200, why. */
  readonly failures: () => readonly string[];
  stop(): Promise<void>;
}

/**
 * Requests without a pause, each client one after the other. What counts begins with the first that is answered well: a start waits
 * a second at most for the first checks of its backends, and on a busy machine they take longer.
 */
export function load(urls: readonly string[], clients = 4): Load {
  const agent = new Agent({ keepAlive: true });
  const failures: string[] = [];
  let sent = 0;
  const over = new AbortController();
  const client = async (index: number): Promise<void> => {
    const url = urls[index % urls.length] ?? '';
    await waitFor(async () => over.signal.aborted || (await get(url, agent)) === undefined);
    while (!over.signal.aborted) {
      const failure = await get(url, agent);
      sent++;
      if (failure !== undefined) failures.push(`${url}: ${failure}`);
      await sleep(2);
    }
  };
  const running = awaitedLater(
    Promise.all(Array.from({ length: clients }, (_, index) => client(index))),
  );
  const stop = async (): Promise<void> => {
    over.abort();
    await running;
    agent.destroy();
  };
  afterTest(stop);
  return { sent: () => sent, failures: () => failures, stop };
}

function get(url: string, agent: Agent): Promise<string | undefined> {
  return new Promise((resolve) => {
    const asked = request(url, { agent }, (response) => {
      response.resume();
      response.on('end', () =>
        resolve(response.statusCode === 200 ? undefined : `${response.statusCode}`),
      );
      response.on('error', (error) => resolve(error.message));
    });
    asked.on('error', (error) => resolve(error.message));
    asked.end();
  });
}
