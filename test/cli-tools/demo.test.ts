import { expect, test } from 'vitest';
import { type Fairlead, runFairlead, startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';
import { waitFor } from '../support/wait-for.ts';

/** Where the port of a backend that is killed is nobody else's, who would bring it back. */
async function startDemo(): Promise<Fairlead> {
  const backends = ['--backend-port', String(Math.min(await freePort(), 65_000))];
  return startFairlead({ args: ['demo', ...backends] });
}

async function backendsOf(demo: Fairlead): Promise<{ url: string; alive: boolean }[]> {
  const response = await fetch(`${demo.adminUrl}/status`);
  return ((await response.json()) as { backends: { url: string; alive: boolean }[] }).backends;
}

/** The process ids that the guide names. */
async function processesOf(demo: Fairlead): Promise<number[]> {
  await waitFor(() => demo.output().includes('Ctrl-C ends it all'));
  return Array.from(demo.output().matchAll(/process (\d+)/g), ([, pid]) => Number(pid));
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('three backends take turns, and one signal ends them all', async () => {
  const demo = await startDemo();
  const processes = await processesOf(demo);
  expect(processes).toHaveLength(3);
  expect((await backendsOf(demo)).map(({ alive }) => alive)).toEqual([true, true, true]);
  const names: string[] = [];
  for (let index = 0; index < 6; index++) {
    names.push(((await (await fetch(demo.url)).json()) as { name: string }).name);
  }
  expect(names.toSorted()).toEqual(
    ['backend-1', 'backend-2', 'backend-3'].flatMap((name) => [name, name]),
  );
  expect(await demo.stop('SIGINT')).toBe(0);
  expect(processes.filter(isRunning)).toEqual([]);
});

test('a backend that is killed is taken out, and the rest goes on', async () => {
  const demo = await startDemo();
  const [victim] = await processesOf(demo);
  process.kill(victim as number, 'SIGKILL');
  await waitFor(
    async () => (await backendsOf(demo)).filter(({ alive }) => alive).length === 2,
    15_000,
  );
  for (let index = 0; index < 6; index++) expect((await fetch(demo.url)).status).toBe(200);
  expect(await demo.stop('SIGTERM')).toBe(0);
});

test('no backend outlives a demo that is killed', async () => {
  const demo = await startDemo();
  const processes = await processesOf(demo);
  await demo.kill();
  await waitFor(() => !processes.some(isRunning));
  expect(processes).toHaveLength(3);
});

test('takes the next free port for a backend, and says so', async () => {
  await httpBackend(undefined, { port: 8081 }).catch(() => {
    // Taken by somebody else: just as good.
  });
  const demo = await startFairlead({ args: ['demo'] });
  expect(demo.output()).toMatch(/Port 8081 is taken: backend-1 listens on \d+\./);
  const urls = (await backendsOf(demo)).map(({ url }) => url);
  expect(new Set(urls).size).toBe(3);
  expect(urls).not.toContain('http://localhost:8081');
});

test.each(['--port', '--admin-port'])('an address in use (%s) ends it with 3', async (flag) => {
  const { port } = await httpBackend(undefined, { host: '0.0.0.0' });
  const other = flag === '--port' ? '--admin-port' : '--port';
  const run = await runFairlead(['demo', flag, String(port), other, String(await freePort())]);
  expect(run.code).toBe(3);
  expect(run.stderr).toContain(String(port));
});

test.each([
  [['--port', '0']],
  [['--port', '9000']],
  [['--admin-port', 'x']],
  [['http://:3001']],
  [['--prt', '1']],
])('%j ends it with 2', async (args) => {
  const run = await runFairlead(['demo', ...args]);
  expect(run).toMatchObject({ code: 2, stdout: '' });
  expect(run.stderr).toMatch(/^fairlead demo: .+\n$/);
});
