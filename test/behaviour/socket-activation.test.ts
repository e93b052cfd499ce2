/** Sockets that were open before Fairlead: as systemd hands them over (sd_listen_fds(3)). */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { afterTest } from '../support/after-test.ts';
import { ByteReader } from '../support/byte-reader.ts';
import { programFor, runFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';
import { CLIENTS, reconnecting, upgrade } from './upgrade-stage.ts';

interface Example {
  readonly listeners: readonly Readonly<Record<string, unknown>>[];
}

interface Started {
  readonly child: ChildProcess;
  readonly adminUrl: string;
  readonly output: () => string;
  /** Writes its config file. */
  readonly configure: (config: Readonly<Record<string, unknown>>) => Promise<void>;
}

/** A socket as systemd has it open: nobody accepts on it yet. */
async function socketAt(port: number, host: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  server.listen(port, host);
  await once(server, 'listening');
  return server;
}

async function socketOfFile(): Promise<{ readonly socket: Server; readonly file: string }> {
  const folder = temporaryFolder('sockets');
  // Node removes the name that it has bound when it closes the socket.
  const socket = createServer((connection) => connection.destroy());
  socket.listen(join(folder, 'bound.sock'));
  await once(socket, 'listening');
  const file = join(folder, 'web.sock');
  await rename(join(folder, 'bound.sock'), file);
  return { socket, file };
}

function descriptorOf(server: Server): number {
  return (server as unknown as { readonly _handle: { readonly fd: number } })._handle.fd;
}

/** @param names of the sockets, in their order: `LISTEN_FDNAMES` */
async function start(
  sockets: readonly Server[],
  names: string,
  config: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string>> = {},
): Promise<Started> {
  const folder = temporaryFolder('sockets');
  const backend = await httpBackend();
  const adminPort = await freePort();
  const file = join(folder, 'c.json');
  const whole = {
    backends: [backend.url],
    state_file: false,
    admin_port: adminPort,
    watch: false,
    ...config,
  };
  const configure = (next: Readonly<Record<string, unknown>>): Promise<void> =>
    writeFile(file, JSON.stringify({ ...whole, ...next }));
  await configure({});
  const child = spawn(
    'sh',
    ['-c', 'LISTEN_PID=$$ exec "$@"', 'sh', process.execPath, programFor(env), '--config', file],
    {
      cwd: folder,
      env: {
        PATH: process.env['PATH'],
        LISTEN_FDS: String(sockets.length),
        LISTEN_FDNAMES: names,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe', ...sockets.map(descriptorOf)],
    },
  );
  afterTest(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
  }
  // From here on it is the child's alone.
  for (const socket of sockets) socket.close();
  await waitFor(() => text.includes('"event":"listening"') || child.exitCode !== null);
  return { child, adminUrl: `http://127.0.0.1:${adminPort}`, output: () => text, configure };
}

const THROWING = new URL('../support/patches/throwing.mjs', import.meta.url).href;
const WITHOUT_PIPES = new URL('../support/without-pipe-handles.mjs', import.meta.url).href;

async function answerOf(port: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/`)).text();
}

test('a listener is taken by its name, and another by its address', async () => {
  const [named, found] = [await freePort(), await freePort()];
  const sockets = [await socketAt(named, '127.0.0.1'), await socketAt(found, '127.0.0.1')];
  const listeners = [{ fd: 'web' }, { host: '127.0.0.1', port: found }];
  const { child, adminUrl, output } = await start(sockets, 'web:other', { listeners });
  for (let round = 0; round < 5; round++) {
    expect(await answerOf(named)).toBe('ok');
    expect(await answerOf(found)).toBe('ok');
  }
  expect(await (await fetch(`${adminUrl}/listeners`)).json()).toMatchObject([
    { name: 'fd:web', fd: 'web', inherited: true, tls: false },
    { name: `127.0.0.1:${found}`, port: found, inherited: true },
  ]);
  expect(output()).not.toContain('listener.unused_socket');
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

test('a socket that no listener is for is told of, and a name that there is none of ends the start', async () => {
  const [port, other] = [await freePort(), await freePort()];
  const { output, adminUrl } = await start([await socketAt(port, '127.0.0.1')], 'web', {
    listeners: [{ host: '127.0.0.1', port: other }],
  });
  await waitFor(() => output().includes('no listener is for the socket web (descriptor 3)'));
  expect(await (await fetch(`${adminUrl}/listeners`)).json()).toMatchObject([{ inherited: false }]);

  const refused = await start([await socketAt(await freePort(), '127.0.0.1')], 'web', {
    listeners: [{ fd: 'wbe' }],
  });
  await waitFor(() => refused.child.exitCode !== null);
  expect(refused.child.exitCode).toBe(1);
  await waitFor(() => refused.output().includes('no socket called wbe was open at the start'));
});

test('a unix socket is one, too: its clients are those that proxy_protocol means by unix', async () => {
  const { socket, file } = await socketOfFile();
  const listeners = [{ fd: 'web', proxy_protocol: { from: ['unix'] } }];
  await start([socket], 'web', { listeners });
  const client = connect(file);
  afterTest(() => void client.destroy());
  const reader = new ByteReader(client);
  client.write('PROXY UNKNOWN\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  expect((await reader.readToEnd()).toString('latin1')).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
});

test('a reload that is refused takes no socket along', async () => {
  const [port, other, taken] = [await freePort(), await freePort(), await freePort()];
  const plain = { listeners: [{ host: '127.0.0.1', port: other }] };
  const { adminUrl, output, configure } = await start(
    [await socketAt(port, '127.0.0.1')],
    'web',
    plain,
  );
  await waitFor(() => output().includes('listener.unused_socket'));
  await socketAt(taken, '127.0.0.1').then((server) => afterTest(() => void server.close()));
  const reload = async (listeners: readonly unknown[]): Promise<number> => {
    await configure({ listeners });
    return (await fetch(`${adminUrl}/reload`, { method: 'POST' })).status;
  };
  expect(await reload([{ fd: 'web' }, { host: '127.0.0.1', port: taken }])).toBe(422);
  expect(await reload([{ fd: 'web' }])).toBe(200);
  expect(await answerOf(port)).toBe('ok');
});

test('a socket stays when the data thread that has it ends, and goes to the next one', async () => {
  const port = await freePort();
  const listeners = [{ fd: 'web' }, { port: await freePort() }];
  const { output } = await start(
    [await socketAt(port, '127.0.0.1')],
    'web',
    { listeners },
    { NODE_OPTIONS: `--import ${THROWING}` },
  );
  for (let round = 1; round <= 2; round++) {
    const client = await rawClient(port);
    await client.write('GET / HTTP/1.1\r\nHost: a\r\nX-Throw: next-uncaught\r\n\r\n');
    await waitFor(() => output().split('"event":"data_thread.died"').length === round + 1);
    expect(await answerOf(port)).toBe('ok');
  }
  expect(output()).not.toContain('listener.lost');
});

test('a data thread that ends takes its socket along where none can be kept: so does the process, in order, for the next one to get it', async () => {
  const port = await freePort();
  const listeners = [{ fd: 'web' }, { port: await freePort() }];
  const { child, output } = await start(
    [await socketAt(port, '127.0.0.1')],
    'web',
    { listeners },
    { NODE_OPTIONS: `--import ${WITHOUT_PIPES} --import ${THROWING}` },
  );
  const exited = once(child, 'exit');
  const client = await rawClient(port);
  await client.write('GET / HTTP/1.1\r\nHost: a\r\nX-Throw: next-uncaught\r\n\r\n');
  expect(await exited).toEqual([1, null]);
  await waitFor(() => output().includes('"event":"stopped"'));
  const lines = output()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  expect(lines.filter(({ event }) => event === 'listener.lost')).toMatchObject([
    {
      level: 'error',
      listener: 'fd:web',
      msg: 'fd:web was closed with the data thread that had it: a new process is needed',
    },
  ]);
  expect(lines).toContainEqual(
    expect.objectContaining({ event: 'stopping', reason: 'fd:web is lost' }),
  );
});

/** What the system calls a socket that this process has open. */
function inodeOf(server: Server): string {
  return readlinkSync(`/proc/self/fd/${descriptorOf(server)}`);
}

/** Those that a process has open. */
function inodesOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).map((descriptor) => {
    try {
      return readlinkSync(join(folder, descriptor));
    } catch {
      return 'closed meanwhile';
    }
  });
}

test('an upgrade hands them on, and so does the next one: nobody is refused', async () => {
  const [named, found] = [await freePort(), await freePort()];
  const { socket, file } = await socketOfFile();
  const used = [await socketAt(named, '127.0.0.1'), await socketAt(found, '127.0.0.1'), socket];
  const unused = await socketAt(await freePort(), '127.0.0.1');
  const [inodes, idle] = [used.map(inodeOf), inodeOf(unused)];
  const listeners = [{ fd: 'web' }, { host: '127.0.0.1', port: found }, { fd: 'file' }];
  const { child, adminUrl, output } = await start([...used, unused], 'web:other:file:idle', {
    listeners,
    threads: 2,
  });
  const faults: string[] = [];
  const regulars = [
    reconnecting(() => connect(named, '127.0.0.1'), faults),
    reconnecting(() => connect(found, '127.0.0.1'), faults),
    reconnecting(() => connect(file), faults),
  ];
  const hasEnded = (times: number) => output().split('"event":"stopped"').length === times + 1;
  let pid = child.pid;
  for (const round of [1, 2]) {
    const before = pid;
    pid = await upgrade({ adminUrl });
    expect(pid).not.toBe(before);
    await waitFor(() => hasEnded(round));
    // They are the same sockets, and who comes now comes to this process.
    expect(inodesOf(pid)).toEqual(expect.arrayContaining(inodes));
    expect(inodesOf(pid)).not.toContain(idle);
    expect(await (await fetch(`${adminUrl}/listeners`)).json()).toMatchObject([
      { name: 'fd:web', inherited: true },
      { name: `127.0.0.1:${found}`, inherited: true },
      { name: 'fd:file', inherited: true },
    ]);
    const answered = regulars.map((one) => one.answered());
    await waitFor(() =>
      regulars.every((one, index) => one.answered() > (answered[index] ?? 0) + CLIENTS),
    );
  }
  for (const { stop } of regulars) await stop();
  expect(faults).toEqual([]);
  expect(child.exitCode).toBe(0);
  process.kill(pid as number, 'SIGTERM');
  await waitFor(() => hasEnded(3));
});

test('where no socket is handed over, the start says so, and check that it can’t know', async () => {
  const folder = temporaryFolder('sockets');
  const file = join(folder, 'c.json');
  const config = {
    backends: ['http://127.0.0.1:1'],
    listeners: [{ fd: 'web' }],
    state_file: false,
  };
  await writeFile(file, JSON.stringify({ ...config, admin_port: await freePort() }));
  const checked = await runFairlead(['check', '--config', file]);
  expect(checked.code).toBe(0);
  expect(checked.stderr).toContain(
    'note: listeners.0 takes a socket called web that is open when Fairlead starts (LISTEN_FDNAMES)',
  );
  const { code, stderr } = await runFairlead(['--config', file]);
  expect(code).toBe(1);
  expect(stderr).toContain("can't listen on fd:web (listeners.0): no socket called web was open");
});

test('examples/unix-sockets.yaml, with the socket of examples/systemd', async () => {
  const examples = new URL('../../examples/', import.meta.url);
  const unit = readFileSync(new URL('systemd/fairlead.socket', examples), 'utf8');
  const service = readFileSync(new URL('systemd/fairlead.service', examples), 'utf8');
  const [, name = ''] = /^FileDescriptorName=(.*)$/m.exec(unit) ?? [];
  expect(service).toMatch(/^ExecStart=.* --config \S+\/unix-sockets\.yaml$/m);

  const { socket, file } = await socketOfFile();
  const folder = dirname(file);
  const config = parse(readFileSync(new URL('unix-sockets.yaml', examples), 'utf8')) as Example;
  const [, balancer] = config.listeners;
  const listeners = [config.listeners[0], { ...balancer, unix: join(folder, 'balancer.sock') }];
  await start([socket], name, { listeners });

  const request = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
  for (const [at, text] of [
    ['web.sock', request],
    ['balancer.sock', `PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n${request}`],
  ] as const) {
    const client = connect(join(folder, at));
    afterTest(() => void client.destroy());
    const reader = new ByteReader(client);
    client.write(text);
    expect((await reader.readToEnd()).toString('latin1')).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*ok$/);
  }
});
