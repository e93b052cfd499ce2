/** `fairlead reload` said "reloaded", and the line "listening" named a port without a URL. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { changedPaths } from '../../src/config/effective/effective.ts';
import { afterTest } from '../support/after-test.ts';
import { COMMAND, runFairlead, startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { waitFor } from '../support/wait-for.ts';

test('it names the keys, and the log names the URL', async () => {
  const fairlead = await startFairlead({ config: { backends: [':1'] } });
  const listening = await fairlead.waitForLog(({ event }) => event === 'listening');
  expect(listening.msg).toContain(`http://localhost:${fairlead.port}`);
  expect(listening['url']).toBe(`http://localhost:${fairlead.port}`);
  const file = join(fairlead.cwd, 'fairlead.config.json');
  const reload = () => runFairlead(['reload', '--admin', fairlead.adminUrl]);
  await writeFile(
    file,
    JSON.stringify({ backends: [':1', ':2'], timeouts: { connect: '7s' }, strategy: 'ip-hash' }),
  );
  expect((await reload()).stdout).toBe('reloaded: strategy, backends, timeouts.connect\n');
  const line = await fairlead.waitForLog(({ event }) => event === 'config.reloaded');
  expect(line['changed']).toEqual(['strategy', 'backends', 'timeouts.connect']);
  expect((await reload()).stdout).toBe('reloaded: no change\n');
});

test('a status that is watched follows what changes', async () => {
  const { adminUrl } = await startFairlead();
  const command = [COMMAND, 'status', '--watch', '--admin', adminUrl];
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(child, 'close');
  afterTest(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
  });
  await waitFor(() => shown.includes('round-robin'), 10_000, 'the first table');
  await runFairlead(['strategy', 'ip-hash', '--admin', adminUrl]);
  await waitFor(() => shown.includes('ip-hash'), 10_000, 'a table with the change');
  expect(shown.indexOf('ip-hash')).toBeGreaterThan(shown.lastIndexOf('round-robin'));
});

test('what is switched off or on is one change', () => {
  expect(changedPaths({ a: { b: 1, c: 2 }, d: [1] }, { a: { b: 1 }, d: [1] })).toEqual(['a.c']);
  expect(changedPaths({ a: false }, { a: { b: 1 } })).toEqual(['a']);
});

test.each(['--port', '--admin-port'])('an address in use names %s', async (flag) => {
  const server = createServer().listen(0);
  afterTest(() => void server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const other = flag === '--port' ? '--admin-port' : '--port';
  const free = await freePort();
  const { code, stderr } = await runFairlead([flag, String(port), other, String(free)]);
  expect({ code, stderr }).toEqual({
    code: 3,
    stderr: expect.stringContaining(`the address is in use (${flag} PORT takes another one)`),
  });
});
