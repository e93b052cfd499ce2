/** `npm run dev` that was ended by SIGTERM left its compiler and Fairlead, with its ports, to run on. */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cp, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { freePort } from '../support/free-port.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const COMPILE_MS = 60_000;

/** What it compiles is a copy: other tests run what is compiled here. */
async function copyOfTheTree(): Promise<string> {
  const folder = temporaryFolder('dev');
  for (const name of ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'scripts', 'src']) {
    await cp(join(ROOT, name), join(folder, name), { recursive: true });
  }
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** Processes whose command line names the folder, or who work in it: whoever their parents are by now. */
function processesOf(marks: readonly string[]): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        const state = /^State:\s+(\w)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
        return state !== 'Z' && marks.some((mark) => line.includes(mark));
      } catch {
        return false;
      }
    })
    .map(Number);
}

describe.runIf(process.platform === 'linux')('npm run dev', () => {
  test.each([['npm'], ['node']])(
    'as %s sees it: SIGTERM leaves nobody',
    async (how) => {
      const folder = await copyOfTheTree();
      const ports = ['--port', String(await freePort()), '--admin-port', String(await freePort())];
      const [program, ...args] =
        how === 'npm'
          ? ['npm', 'run', 'dev', '--', ...ports]
          : [process.execPath, join(folder, 'scripts/dev.mjs'), ...ports];
      const child = spawn(program as string, args, {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let output = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (text: string) => {
          output += text;
        });
      }
      const marks = [folder, ports.join('\0')];
      afterTest(() => {
        for (const pid of processesOf(marks)) process.kill(pid, 'SIGKILL');
      });
      await waitFor(() => output.includes('"listening"'), COMPILE_MS, 'the start');
      // The compiler, who watches, and Fairlead at least.
      expect(processesOf(marks).length).toBeGreaterThanOrEqual(3);
      child.kill('SIGTERM');
      await waitFor(() => processesOf(marks).length === 0, COMPILE_MS, 'the end of all');
      expect(processesOf(marks)).toEqual([]);
    },
    200_000,
  );
});
