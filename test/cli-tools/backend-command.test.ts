import { expect, test } from 'vitest';
import {
  type Fairlead,
  type FairleadOptions,
  runFairlead,
  startFairlead,
} from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';

/** A sample backend listens and logs that as the proxy does; it has no admin port. */
function startBackend(port: number, options: FairleadOptions): Promise<Fairlead> {
  const args = ['backend', ...(options.args ?? [])];
  return startFairlead({ ...options, args, ports: { port, adminPort: 0 } });
}

test('listens on the port of its flag, by its name', async () => {
  const port = await freePort();
  const backend = await startBackend(port, { args: [`--port=${port}`, '--name', 'blue'] });
  expect(await (await fetch(backend.url)).json()).toMatchObject({ name: 'blue' });
});

test.each(['', '127.0.0.1', 'localhost'])(
  'listens on BACKEND_LISTEN_ADDR=%s:port',
  async (host) => {
    const port = await freePort();
    const backend = await startBackend(port, { env: { BACKEND_LISTEN_ADDR: `${host}:${port}` } });
    expect((await fetch(`http://localhost:${backend.port}/health`)).status).toBe(200);
  },
);

test('a flag wins over the environment', async () => {
  const port = await freePort();
  const args = ['--host', '127.0.0.1', '--port', String(port)];
  const backend = await startBackend(port, { args, env: { BACKEND_LISTEN_ADDR: ':1' } });
  expect((await fetch(backend.url)).status).toBe(200);
});

test.each(['SIGINT', 'SIGTERM'] as const)('%s ends it with 0, requests first', async (signal) => {
  const port = await freePort();
  const backend = await startBackend(port, { args: ['--port', String(port)] });
  const slow = fetch(`${backend.url}/slow?ms=200`);
  await fetch(`${backend.url}/`);
  expect(await backend.stop(signal)).toBe(0);
  expect((await slow).status).toBe(200);
});

test('an address in use ends it with 3 and is named', async () => {
  const { port } = await httpBackend();
  const run = await runFairlead(['backend', '--host', '127.0.0.1', '--port', String(port)]);
  expect(run).toMatchObject({ code: 3, stdout: '' });
  expect(run.stderr).toContain(`127.0.0.1:${port}`);
});

test.each([
  [['--port', '65536'], {}],
  [['--port', 'x'], {}],
  [['--host', 'a b'], {}],
  [['--name', 'a\nb'], {}],
  [['--prt', '1'], {}],
  [['extra'], {}],
  [[], { BACKEND_LISTEN_ADDR: 'localhost' }],
  [[], { BACKEND_LISTEN_ADDR: ':0x50' }],
  [[], { BACKEND_LISTEN_ADDR: 'a b:80' }],
])('%j with %j ends it with 2', async (args, env) => {
  const run = await runFairlead(['backend', ...args], { env });
  expect(run).toMatchObject({ code: 2, stdout: '' });
  expect(run.stderr).toMatch(/^fairlead backend: .+\n$/);
});
