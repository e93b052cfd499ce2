import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { freePort } from '../support/free-port.ts';
import { SOON_MS, waitFor, within } from '../support/wait-for.ts';

const COMMAND = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** As npx does it: a shell that waits for the command. Resolves when the command listens. */
async function underShell(env: Readonly<Record<string, string>>) {
  const args = ['--port', String(await freePort()), '--admin-port', String(await freePort())];
  const script = `"${process.execPath}" "${COMMAND}" ${args.join(' ')}; true`;
  const shell = spawn('sh', ['-c', script], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  afterTest(() => {
    try {
      process.kill(-(shell.pid as number), 'SIGKILL');
    } catch {
      // Nobody of the group is left.
    }
  });
  let output = '';
  shell.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await waitFor(() => output.includes('"listening"'), 10_000, 'the log line "listening"');
  // The pipe closes when the last process that holds it ends, and that is Fairlead.
  const ended = once(shell.stdout, 'close');
  return { shell, ended, output: () => output };
}

test('a SIGTERM to npx, which npx does not pass on, ends Fairlead as well', async () => {
  const npx = { npm_command: 'exec', npm_lifecycle_script: "'fairlead'" };
  const { shell, ended, output } = await underShell(npx);
  shell.kill('SIGTERM');
  await within(ended, SOON_MS, 'the end of Fairlead');
  expect(output()).toContain('"reason":"SIGTERM"');
  expect(output()).toContain('"stopped"');
});

test('without npx, the end of the shell that started it is not the end of Fairlead', async () => {
  const { shell, output } = await underShell({ npm_command: 'exec', npm_lifecycle_script: 'x' });
  shell.kill('SIGTERM');
  await once(shell, 'exit');
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect(output()).not.toContain('"stopping"');
});
