/** Every command in the docs is run by a test, or says that it is an illustration and why it is not run. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { COMMAND } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { LONG_MS, waitFor, within } from '../support/wait-for.ts';
import { codeBlocks, PAGES, readPage } from './markdown.ts';

const execute = promisify(execFile);

/** Those whose blocks are all run, and who runs them. */
const RUN: Readonly<Record<string, string>> = {
  'docs/admin-api.md': 'test/docs/admin-api.test.ts',
  'docs/getting-started.md': 'test/docs/commands.test.ts',
};

interface ShellBlock {
  readonly code: string;
  /** Undefined: it is to be run. */
  readonly whyNot: string | undefined;
}

function shellBlocks(page: string): ShellBlock[] {
  const blocks = readPage(page).matchAll(
    /(?:^<!-- illustration: (.+) -->\n+)?^```(?:sh|bash|shell)\b.*\n([^]*?)^```$/gm,
  );
  return Array.from(blocks, ([, whyNot, code = '']) => ({ code, whyNot }));
}

test.each([...PAGES, 'bench/README.md'])(
  'the commands of %s are run, or are illustrations',
  (page) => {
    const toRun = shellBlocks(page).filter(({ whyNot }) => whyNot === undefined);
    const runner = RUN[page];
    const isRun =
      runner !== undefined &&
      existsSync(new URL(`../../${runner}`, import.meta.url)) &&
      readFileSync(new URL(`../../${runner}`, import.meta.url), 'utf8').includes(`'${page}'`);
    expect(isRun ? [] : toRun.map(({ code }) => code)).toEqual([]);
  },
);

interface Running {
  readonly output: () => string;
}

/** What ends with `&` goes on; it is there once it says so. */
async function inBackground(command: string, cwd: string): Promise<Running> {
  const child = spawn('sh', ['-c', `exec ${command}`], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  afterTest(async () => {
    child.kill('SIGTERM');
    await within(ended, LONG_MS, `the end of ${command}`);
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  await waitFor(() => /listening/.test(output), LONG_MS, `${command}\n${output}`);
  return { output: () => output };
}

test('what docs/getting-started.md says works, from the top to the bottom', async () => {
  const page = 'docs/getting-started.md';
  const ports = new Map<string, string>();
  for (const port of ['8080', '9000', '3001', '3002']) ports.set(port, String(await freePort()));
  const here = (text: string): string =>
    text.replaceAll(/\b(?:8080|9000|3001|3002)\b/g, (port) => ports.get(port) ?? port);
  const cwd = temporaryFolder('started');
  const config = codeBlocks(readPage(page)).find(({ language }) => language === 'yaml');
  writeFileSync(join(cwd, 'fairlead.config.yaml'), here(config?.code ?? ''));
  const said = new Map<string, string>();
  const lines = shellBlocks(page).flatMap(({ code }) => code.trim().split('\n'));
  for (const line of lines) {
    const command = here(line).replace(/^npx fairlead/, `"${process.execPath}" "${COMMAND}"`);
    if (command.endsWith(' &')) await inBackground(command.slice(0, -2), cwd);
    else
      said.set(line, (await execute('sh', ['-c', command], { cwd, timeout: 2 * LONG_MS })).stdout);
  }
  expect(lines.length).toBeGreaterThan(8);
  expect(said.get('npx fairlead check')).toContain(`port ${ports.get('8080')}`);
  expect(said.get('npx fairlead status')).toMatch(/2 of 2 backends alive|draining|drained/);
  expect(said.get('npx fairlead try http://localhost:8080/ -n 40')).toMatch(/\b30\b/);
}, 180_000);
