/** `fairlead events` and `fairlead top`, as users run them, against a running instance. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { runHere } from '../support/command-here.ts';
import { COMMAND, runFairlead, startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

interface Following {
  readonly child: ChildProcess;
  out(): string;
  error(): string;
}

/** A program that goes on until it is ended. */
function following(program: string, args: readonly string[], cwd?: string): Following {
  const child = spawn(program, args, { stdio: 'pipe', ...(cwd !== undefined && { cwd }) });
  afterTest(() => void child.kill('SIGKILL'));
  let [out, error] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    error += text;
  });
  return { child, out: () => out, error: () => error };
}

function setStrategy(adminUrl: string, strategy: string): Promise<Response> {
  return fetch(`${adminUrl}/strategy`, { method: 'PUT', body: JSON.stringify({ strategy }) });
}

test('events are followed for people and for machines, over a restart', async () => {
  await onFreePorts(2, async ([port = 0, adminPort = 0]) => {
    const start = () =>
      startFairlead({
        args: ['--port', String(port), '--admin-port', String(adminPort)],
        ports: { port, adminPort },
      });
    const first = await start();
    const follow = (...args: string[]): Following =>
      following(process.execPath, [COMMAND, 'events', '--admin', first.adminUrl, ...args]);
    const [people, machines] = [follow('--since', '0'), follow('--since', '0', '--json')];
    await waitFor(() => people.out().includes(' INFO  listening on '));
    await waitFor(() => machines.out().includes('"event":"listening"'));
    expect((await setStrategy(first.adminUrl, 'ip-hash')).status).toBe(200);
    await waitFor(() => people.out().includes('the strategy is ip-hash'));
    expect(people.out()).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} INFO {2}the strategy is ip-hash \(strategy round-robin → ip-hash\) by \S+ from 127\.0\.0\.1/m,
    );
    await waitFor(() => machines.out().includes('"event":"strategy.changed"'));
    expect(await first.stop()).toBe(0);
    for (const { error } of [people, machines]) {
      await waitFor(() => error().includes('the instance has closed the connection'));
    }

    const second = await start();
    await waitFor(() => machines.error().includes('connected again'));
    expect((await setStrategy(second.adminUrl, 'random-two')).status).toBe(200);
    await waitFor(() => machines.out().includes('"strategy":"random-two"'));
    const lines = machines
      .out()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string; event_id: number });
    const names = lines.map(({ event }) => event);
    expect(names.filter((name) => name === 'gap')).toHaveLength(1);
    expect(names.filter((name) => name === 'listening')).toHaveLength(2);
    const ids = lines.map(({ event_id: id }) => id);
    expect(ids).toEqual(ids.toSorted((a, b) => a - b));
    people.child.kill('SIGINT');
    const [code, signal] = (await once(people.child, 'exit')) as [number | null, string | null];
    expect([code, signal]).toEqual([null, 'SIGINT']);
  });
});

test('only what is wanted of one pool is followed, and what there is not is refused', async () => {
  const fairlead = await startFairlead({
    config: { backends: [], pools: { api: { backends: [] } }, routes: [{ pool: 'api' }] },
  });
  const follow = ['events', '--admin', fairlead.adminUrl, '--since', '0', '--json'];
  const wanted = [
    '--type',
    'strategy.changed,breaker.*',
    '--type',
    'backend.added',
    '--pool',
    'api',
  ];
  const { out } = following(process.execPath, [COMMAND, ...follow, ...wanted]);
  const call = (path: string, body: object) =>
    fetch(fairlead.adminUrl + path, { method: 'POST', body: JSON.stringify(body) });
  expect((await call('/strategy', { strategy: 'ip-hash' })).status).toBe(200);
  const added = await call('/pools/api/backends', { url: 'http://127.0.0.1:1' });
  expect(added.status).toBe(201);
  expect((await call('/pools/api/strategy', { strategy: 'random-two' })).status).toBe(200);
  await waitFor(() => out().includes('"strategy":"random-two"'));
  const lines = out().trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    { event: 'backend.added', pool: 'api' },
    { event: 'strategy.changed', pool: 'api' },
  ]);
  const mistyped = await runHere([...follow, '--type', 'breaker.opend']);
  expect(mistyped).toMatchObject({ code: 2, stdout: '' });
  expect(mistyped.stderr).toContain(
    'There is no event "breaker.opend". (did you mean "breaker.opened"?)',
  );
  const unknown = await runHere([...follow, '--pool', 'web']);
  expect(unknown.stderr).toContain('There is no pool "web". (fairlead status lists them)');
});

test('what can not be followed is an error, and no waiting', async () => {
  const closed = `http://127.0.0.1:${await freePort()}`;
  const nobody = await runFairlead(['events', '--admin', closed]);
  expect(nobody).toMatchObject({ code: 1, stdout: '' });
  expect(nobody.stderr).toContain(`error: no answer from the admin API at ${closed}`);
  const wrong = await runHere(['events', '--since', 'monday', '--admin', closed]);
  expect(wrong).toMatchObject({
    code: 2,
    stderr: 'fairlead events: --since is the id of an event, or 0, not "monday"\n',
  });
  const fairlead = await startFairlead({ config: { admin: { token: 'secret' } } });
  const refused = await runHere(['events', '--admin', fairlead.adminUrl, '--token', 'x']);
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toContain('error: This is no token of this instance.');
});

describe('top', () => {
  test('prints once where there is no terminal', async () => {
    const { url } = await httpBackend();
    const fairlead = await startFairlead({ args: [url] });
    await fairlead.waitForLog(({ event }) => event === 'backend.up');
    const run = (...args: string[]) => runFairlead(['top', '--admin', fairlead.adminUrl, ...args]);
    const { code, stdout, stderr } = await run();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(
      /^1 of 1 backends alive, 0\.0 requests\/s, 0\.0 failed attempts\/s, 0 in flight, up \S+\n\nround-robin, 1 of 1 alive\nID +BACKEND +STATE +WEIGHT .*\n0 +http:\S+ +up +1 +0 +0\.0 .*\n$/,
    );
    const json = JSON.parse((await run('--json')).stdout) as object;
    expect(json).toMatchObject({ pools: [{ strategy: 'round-robin', backends: [{ url }] }] });
    const other = ['top', '--admin', fairlead.adminUrl, '--pool', 'other'];
    expect(await runHere(other)).toMatchObject({ code: 1, stdout: '' });
  });

  test.runIf(hasTool('script'))('lives on a terminal, and leaves it as it was', async () => {
    const { url } = await httpBackend();
    const fairlead = await startFairlead({ args: [url] });
    const folder = temporaryFolder('top');
    const command = [
      'stty cols 60 rows 20',
      '(while [ ! -e resize ]; do sleep 0.1; done; stty rows 4 < /dev/tty) &',
      `"${process.execPath}" "${COMMAND}" top --admin ${fairlead.adminUrl}; echo "ended $?"`,
    ].join('\n');
    const terminal = following('script', ['-qc', command, '/dev/null'], folder);
    // Anew by itself, with rates from the second time on.
    await waitFor(() => terminal.out().includes(' - requests/s'));
    await waitFor(() => terminal.out().includes(' 0.0 requests/s'));
    expect(terminal.out()).toContain('\u001B[?1049h');
    await writeFile(join(folder, 'resize'), '');
    await waitFor(() => terminal.out().includes('… 3 lines more'));
    expect((await setStrategy(fairlead.adminUrl, 'ip-hash')).status).toBe(200);
    expect(await fairlead.stop()).toBe(0);
    await waitFor(() => terminal.out().includes('error: no answer from the admin API'));
    terminal.child.stdin?.write('q');
    await waitFor(() => terminal.out().includes('ended 0'));
    expect(terminal.out()).toContain('\u001B[?25h\u001B[?1049lended 0');
  });
});
