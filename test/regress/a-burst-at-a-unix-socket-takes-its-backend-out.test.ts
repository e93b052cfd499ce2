/**
 * A Unix socket whose queue of connections is full says so at once (EAGAIN), where TCP would try again by itself: a burst would
 * be a row of failures, and a healthy backend out of use.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { startFairlead } from '../support/fairlead.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';

const SERVER = `
const server = require('node:http').createServer((_request, response) => response.end('ok'));
server.listen({ path: process.argv[1], backlog: 1 }, () => console.log('listening'));
`;

test('requests wait until a place in its queue is free', async () => {
  const folder = temporaryFolder('unix');
  const path = join(folder, 'app.sock');
  const server = spawn(process.execPath, ['-e', SERVER, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  afterTest(() => void server.kill('SIGKILL'));
  await once(server.stdout, 'data');
  const fairlead = await startFairlead({
    config: {
      backends: [`unix:${path}`],
      health_check_frequency: '1h',
      health_check_timeout: '20s',
      retries: false,
      timeouts: { connect: '1m', response: '1m' },
    },
  });
  expect((await fetch(fairlead.url, { headers: { Connection: 'close' } })).status).toBe(200);
  server.kill('SIGSTOP');
  const answers = Array.from({ length: 8 }, () => fetch(fairlead.url).then(({ status }) => status));
  const inFlight = async () => {
    const [view] = (await (await fetch(`${fairlead.adminUrl}/backends`)).json()) as {
      conns: number;
    }[];
    return view?.conns === 8;
  };
  await waitFor(inFlight);
  server.kill('SIGCONT');
  expect(await Promise.all(answers)).toEqual(Array.from({ length: 8 }, () => 200));
  expect(fairlead.logs().some(({ event }) => event === 'backend.down')).toBe(false);
});
