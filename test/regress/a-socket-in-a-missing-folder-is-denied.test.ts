/** Of a unix socket that can't be made the system says EACCES, and names a file that nobody has written: what is wrong is said. */
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runFairlead, startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';

test('at a reload', async () => {
  const before = { backends: ['http://127.0.0.1:1'], state_file: false };
  const { adminUrl, cwd } = await startFairlead({ config: before });
  const at = (name: string): string => join(cwd, name);
  writeFileSync(at('letter'), 'dear reader');
  mkdirSync(at('folder'));
  symlinkSync(at('letter'), at('link'));
  for (const [unix, said] of [
    ['none/web.sock', `the folder ${at('none')} does not exist`],
    ['letter/web.sock', `the folder ${at('letter')} is no folder`],
    ['letter/none/web.sock', `the folder ${at('letter/none')} is no folder`],
    // For root, too.
    ['/proc/web.sock', 'the folder /proc'],
    ['letter', `${at('letter')} is there, and is no socket: it is left alone`],
    ['folder', `${at('folder')} is there, and is a folder: it is left alone`],
    ['link', `${at('link')} is there, and is no socket: it is left alone`],
  ] as const) {
    const config = { ...before, listeners: [{ unix }] };
    writeFileSync(at('fairlead.config.json'), JSON.stringify(config, null, 2));
    const response = await fetch(`${adminUrl}/reload`, { method: 'POST' });
    expect(response.status).toBe(422);
    const { problems } = (await response.json()) as { problems: { message: string }[] };
    expect(problems).toMatchObject([{ path: 'listeners.0', line: expect.any(Number) }]);
    const [{ message } = { message: '' }] = problems;
    expect(message).toContain(`can't listen on unix:${unix.startsWith('/') ? unix : at(unix)}: `);
    expect(message).toContain(said);
    expect(message).not.toContain('.fairlead-');
  }
  expect(readFileSync(at('letter'), 'utf8')).toBe('dear reader');
  expect(statSync(at('folder')).isDirectory()).toBe(true);
});

test('at the start', async () => {
  const args = ['--port', String(await freePort()), '--admin-port', String(await freePort())];
  const env = { FAIRLEAD_LISTENERS: JSON.stringify([{ unix: '/nowhere/at/all.sock' }]) };
  const checked = await runFairlead(['check', 'http://127.0.0.1:1', ...args], { env });
  expect(checked.stderr).toContain(
    'note: listeners.0 needs the folder /nowhere/at for its socket, and there is none yet',
  );
  const { code, stderr } = await runFairlead(['http://127.0.0.1:1', ...args], { env });
  expect(code).toBe(1);
  expect(stderr).toContain(
    "can't listen on unix:/nowhere/at/all.sock (listeners.0): the folder /nowhere/at does not exist",
  );
});
