/** systemd is told of the service (sd_notify(3)): here a socket for datagrams stands in its place, the program that tells it is the real one. */
import { spawn, spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ServiceManager } from '../../src/control/service-manager.ts';
import { recordLog } from '../control/fixtures.ts';
import { afterTest } from '../support/after-test.ts';
import { type Fairlead, runFairlead, startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { pathOf } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

/** Node has no datagrams over unix sockets. A message a line. */
const RECEIVER = `use Socket; $| = 1;
socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die; bind($s, pack_sockaddr_un($ARGV[0])) or die;
my $m; while (defined recv($s, $m, 65536, 0)) { $m =~ tr/\\n/ /; print "$m\\n" }`;

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const UNITS = join(ROOT, 'examples/systemd');

/** What systemd hears, in its order, but for what the program says for itself. */
async function manager(): Promise<{ readonly socket: string; readonly heard: () => string[] }> {
  const socket = join(temporaryFolder('notify'), 'notify');
  const perl = pathOf('perl');
  if (perl === undefined || pathOf('systemd-notify') === undefined) {
    throw new Error('perl and systemd-notify are needed: apt-get install perl systemd');
  }
  const child = spawn(perl, ['-e', RECEIVER, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  afterTest(() => void child.kill('SIGKILL'));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  await waitFor(() => existsSync(socket));
  const heard = (): string[] =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => line.trim())
      .filter((line) => line !== 'BARRIER=1');
  return { socket, heard };
}

async function service(env: Readonly<Record<string, string>>): Promise<Fairlead> {
  const backend = await httpBackend();
  const folder = temporaryFolder('service');
  const config = { backends: [backend.url], access_log: false };
  return startFairlead({ cwd: folder, config, env });
}

test('systemd hears of the start and of reloads, and by its watchdog that Fairlead lives', async () => {
  const { socket, heard } = await manager();
  const { HOME = '/' } = process.env;
  const env = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '900000', HOME };
  const fairlead = await service(env);
  const others = (): string[] => heard().filter((line) => line !== 'WATCHDOG=1');
  const pings = (): number => heard().length - others().length;
  await waitFor(() => pings() > 2);
  expect(others()).toEqual(['READY=1']);

  const [seconds] = process.hrtime();
  process.kill(fairlead.pid, 'SIGHUP');
  await waitFor(() => others().length === 3);
  const [, reloading = '', ready] = others();
  const [, microseconds] = /^RELOADING=1 MONOTONIC_USEC=(\d+)$/.exec(reloading) ?? [];
  expect(Number(microseconds) / 1e6).toBeGreaterThanOrEqual(seconds);
  expect(Number(microseconds) / 1e6).toBeLessThan(seconds + 120);
  expect(ready).toBe('READY=1');

  // A refused one is over as well.
  writeFileSync(join(fairlead.cwd, 'fairlead.config.json'), '{');
  process.kill(fairlead.pid, 'SIGHUP');
  await waitFor(() => others().length === 5);
  expect(others().at(-1)).toBe('READY=1');
});

test('while a data thread is stuck, the watchdog hears nothing; once it is replaced, it does again', async () => {
  const { socket, heard } = await manager();
  const log = recordLog();
  const env = { ...process.env, NOTIFY_SOCKET: socket, WATCHDOG_USEC: '150000' };
  const told = new ServiceManager({ env, pid: process.pid, log, isSuccessor: false });
  afterTest(() => told.leave());
  let isWell = true;
  let asked = 0;
  told.begin(() => {
    asked++;
    return isWell;
  });
  const pings = (): number => heard().filter((line) => line === 'WATCHDOG=1').length;
  await waitFor(() => pings() > 1);
  isWell = false;
  const before = asked;
  // Those that were on their way have been heard by then.
  await waitFor(() => asked > before + 3);
  await told.leave();
  const silentFrom = pings();
  told.begin(() => {
    asked++;
    return isWell;
  });
  const again = asked;
  await waitFor(() => asked > again + 5);
  expect(pings()).toBe(silentFrom);
  isWell = true;
  await waitFor(() => pings() > silentFrom);
  expect(log.lines).toEqual([]);
});

test('with Type=notify-reload, systemd hears when a reload has begun, by its own clock, before it hears that it is over', async () => {
  const { socket, heard } = await manager();
  const env = { ...process.env, NOTIFY_SOCKET: socket };
  const log = recordLog();
  const told = new ServiceManager({ env, pid: process.pid, log, isSuccessor: true });
  let end!: () => void;
  const signalledAt = process.hrtime.bigint();
  const reloading = told.whileReloading(
    () =>
      new Promise<void>((resolve) => {
        end = resolve;
      }),
  );
  const begunAt = process.hrtime.bigint();
  await waitFor(() => heard().length === 1);
  const [, microseconds = ''] = /^RELOADING=1 MONOTONIC_USEC=(\d+)$/.exec(heard()[0] ?? '') ?? [];
  // systemd takes no READY=1 for the end of a reload that it does not know to have begun after its signal.
  expect(BigInt(microseconds)).toBeGreaterThanOrEqual(signalledAt / 1_000n);
  expect(BigInt(microseconds)).toBeLessThanOrEqual(begunAt / 1_000n);
  end();
  await reloading;
  await told.leave();
  await waitFor(() => heard().length === 2);
  expect(heard()[1]).toBe('READY=1');
  // One that has failed is over as well.
  const failed = told.whileReloading(() => Promise.reject(new Error('no')));
  await expect(failed).rejects.toThrow('no');
  await told.leave();
  await waitFor(() => heard().length === 4);
  expect(heard().map((line) => line.split(' ')[0])).toEqual([
    'RELOADING=1',
    'READY=1',
    'RELOADING=1',
    'READY=1',
  ]);
});

test('an upgrade tells which process is the main one; only that one stops the unit', async () => {
  const { socket, heard } = await manager();
  const fairlead = await service({
    NOTIFY_SOCKET: socket,
    WATCHDOG_USEC: '900000',
  });
  const others = (): string[] => heard().filter((line) => line !== 'WATCHDOG=1');
  await waitFor(() => others().length === 1);
  process.kill(fairlead.pid, 'SIGUSR2');
  const line = await fairlead.waitForLog(({ event }) => event === 'upgrade.handed_over');
  const successor = Number(line['successor']);
  await fairlead.waitForLog(({ event }) => event === 'stopped');
  expect(others()).toEqual(['READY=1', `MAINPID=${successor}`]);
  // The old one has ended: these are the new one's.
  const pings = heard().length;
  await waitFor(() => heard().length > pings + 2);
  process.kill(successor, 'SIGTERM');
  await waitFor(() => others().length === 3);
  expect(others()).toEqual(['READY=1', `MAINPID=${successor}`, 'STOPPING=1']);
  await fairlead.exited;
});

test('a watchdog that is for another process hears nothing', async () => {
  const { socket, heard } = await manager();
  const fairlead = await service({
    NOTIFY_SOCKET: socket,
    WATCHDOG_USEC: '90000',
    WATCHDOG_PID: '1',
  });
  await waitFor(() => heard().length === 1);
  expect(await fairlead.stop()).toBe(0);
  await waitFor(() => heard().length === 2);
  expect(heard()).toEqual(['READY=1', 'STOPPING=1']);
});

test('without systemd-notify the service runs, and says once what is missing', async () => {
  const env = { NOTIFY_SOCKET: '/nowhere', WATCHDOG_USEC: '90000', PATH: '/nowhere' };
  const fairlead = await service(env);
  const missed = () => fairlead.logs().filter(({ event }) => event === 'service_manager.not_told');
  const line = await waitFor(() => missed()[0]);
  expect(line['msg']).toContain('systemd-notify is not there: READY=1');
  expect((await fetch(`http://127.0.0.1:${fairlead.port}/`)).status).toBe(200);
  // Pings that could not be said have come since.
  expect(missed().length).toBe(1);
  // An upgrade would end with the unit.
  const upgrade = await fetch(`${fairlead.adminUrl}/upgrade`, { method: 'POST' });
  expect(upgrade.status).toBe(500);
  expect(String(((await upgrade.json()) as { detail: string }).detail)).toContain('systemd-notify');
  expect((await fetch(`http://127.0.0.1:${fairlead.port}/`)).status).toBe(200);
  expect(await fairlead.stop()).toBe(0);
});

/** The values of a key, in their order. */
function valuesOf(text: string, key: string): string[] {
  return Array.from(text.matchAll(new RegExp(`^${key}=(.*)$`, 'gm')), ([, value = '']) => value);
}

test('the example unit runs what there is, and its options are those of systemd', async () => {
  const text = readFileSync(join(UNITS, 'fairlead.service'), 'utf8');
  expect(valuesOf(text, 'Type')).toEqual(['notify']);
  expect(valuesOf(text, 'NotifyAccess')).toEqual(['all']);
  // Machine code is made as it runs.
  expect(valuesOf(text, 'MemoryDenyWriteExecute')).toEqual([]);
  const commands = ['ExecStartPre', 'ExecStart'].flatMap((key) => valuesOf(text, key));
  expect(commands.length).toBe(2);
  for (const command of commands) {
    const [node, script = '', ...args] = command.split(' ');
    expect(node).toBe('/usr/bin/node');
    // From WorkingDirectory=, into which Fairlead is installed.
    accessSync(join(ROOT, script), constants.R_OK);
    const flags = args
      .filter((arg) => arg !== 'check')
      .map((arg) =>
        arg.startsWith('/etc/fairlead/')
          ? join(ROOT, 'examples', arg.slice('/etc/fairlead/'.length))
          : arg,
      );
    expect(flags[0]).toBe('--config');
    expect(await runFairlead(['check', ...flags])).toMatchObject({ code: 0 });
  }
  const [program = ''] = (valuesOf(text, 'ExecReload')[0] ?? '').split(' ');
  accessSync(program, constants.X_OK);

  // As systemd reads it, with Node where it is here.
  const folder = temporaryFolder('units');
  const here = text.replaceAll('/usr/bin/node', process.execPath).replace('/opt/fairlead', ROOT);
  writeFileSync(join(folder, 'fairlead.service'), here);
  copyFileSync(join(UNITS, 'fairlead.socket'), join(folder, 'fairlead.socket'));
  const units = ['./fairlead.service', './fairlead.socket'];
  const verified = spawnSync('systemd-analyze', ['verify', ...units], {
    cwd: folder,
    encoding: 'utf8',
  });
  const [about = ''] = units.map((unit) => unit.slice('./'.length));
  expect(
    verified.stderr
      .split('\n')
      .filter((line) => line.includes(about) || line.includes('fairlead.socket')),
  ).toEqual([]);
  const exposed = spawnSync(
    'systemd-analyze',
    ['security', '--offline=true', '--threshold=20', './fairlead.service'],
    {
      cwd: folder,
      encoding: 'utf8',
    },
  );
  expect(exposed.stdout).toMatch(/Overall exposure level for fairlead\.service: [01]\.\d OK/);
  expect(exposed.status).toBe(0);
}, 60_000);
