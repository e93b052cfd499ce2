/** `fairlead.config.ts`, `.mts`, `.js`, `.mjs`: what the command makes of a config that is written as code. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runFairlead, startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** `fairlead` runs on the same Node as this. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const readsTypes = major > 22 || (major === 22 && minor >= 18);

const REFUSED = `fairlead.config.ts: Node ${process.versions.node} does not read TypeScript (use Node 22.18 or later, or write fairlead.config.js (with "// @ts-check", editors know its types too), or have it read by another program, as with NODE_OPTIONS="--import tsx")\n`;

/** A project that has installed Fairlead, with these files. */
function projectWith(files: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder('code');
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(ROOT, join(folder, 'node_modules/fairlead'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

function imported(url: string): string {
  return `export const backends = ['${url}'];\n`;
}

test('what is exported by default is the config, and what it imports is read anew at each reload', async () => {
  const [one, two] = [await httpBackend(), await httpBackend()];
  const cwd = projectWith({
    'fairlead.config.mjs': `import { defineConfig } from 'fairlead';
import { backends } from './backends.mjs';
export default defineConfig({ backends, health_check_path: process.env.CHECKED });
`,
    'backends.mjs': imported(one.url),
  });
  const fairlead = await startFairlead({ cwd, env: { CHECKED: '/ready' } });
  expect(one.requests).toContain('GET /ready');
  await fetch(`${fairlead.url}/first`);
  expect(one.requests).toContain('GET /first');
  writeFileSync(join(cwd, 'backends.mjs'), imported(two.url));
  expect((await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
  // A thread that has no time to apply it is not waited for.
  await waitFor(async () => {
    await fetch(`${fairlead.url}/second`);
    return two.requests.includes('GET /second');
  });
});

test('types are read where Node takes them off, and else it says what to do', async () => {
  const cwd = projectWith({
    'fairlead.config.ts': `import { type Config, defineConfig } from 'fairlead';
const own: Config = { port: 8123, strategy: 'random-two' };
export default defineConfig(own);
`,
    // A file of data comes after all of code.
    'fairlead.config.yaml': 'port: 8124',
  });
  const { code, stdout, stderr } = await runFairlead(['check'], { cwd });
  const file = join(cwd, 'fairlead.config.ts');
  const note = 'note: fairlead.config.yaml is not read: fairlead.config.ts comes first\n';
  const wanted = readsTypes
    ? { code: 0, stdout: `port 8123, admin port 9000, config file ${file}\n`, stderr: note }
    : { code: 2, stdout: '', stderr: REFUSED };
  expect(code).toBe(wanted.code);
  expect(stdout).toContain(wanted.stdout);
  expect(stderr).toContain(wanted.stderr);
});

test('what is wrong with it is said with its name', async () => {
  const texts = {
    'thrown.mjs': 'const a = 1;\nthrow new Error("no");\n',
    'keys.mjs': "export default { prt: 1, strategy: 'x' };\n",
    'functions.mjs': 'export default { backends: [() => 1] };\n',
    'nothing.mjs': 'export const port = 1;\n',
    'ended.mjs': 'process.exit(0);\n',
    'rejected.mjs':
      "void Promise.reject(new Error('no database'));\nawait new Promise((resolve) => setTimeout(resolve, 30_000));\n",
    'thrown-object.mjs': 'throw Object.create(null);\n',
    'never.mjs': 'setInterval(() => {}, 1000);\nawait new Promise(() => {});\n',
    'import.mjs': "import './none.mjs';\n",
    'promise.mjs': 'export default Promise.resolve({ port: 0 });\n',
    'old.cjs': 'module.exports = { port: 0 };\n',
  };
  const cwd = projectWith(texts);
  const said = await Promise.all(
    Object.keys(texts).map(async (name) => {
      const { code, stderr } = await runFairlead(['check', '--config', name], { cwd });
      expect(code).toBe(2);
      return stderr;
    }),
  );
  expect(said).toEqual([
    'thrown.mjs:2:7: no\n',
    expect.stringMatching(
      /^keys\.mjs: (strategy: must be one of [^]*\nkeys\.mjs: )?prt: unknown key \(did you mean "port"\?\)\n/,
    ),
    'functions.mjs: backends.0: must be plain data, not a function\n',
    'nothing.mjs: it has no default export\n',
    'ended.mjs: it has ended its thread before it gave a config\n',
    'rejected.mjs:1:21: no database\n',
    'thrown-object.mjs: it has thrown something that is no Error\n',
    'never.mjs: it has not come to its end within 10 s\n',
    expect.stringMatching(/^import\.mjs: Cannot find module '.*none\.mjs' imported from .*\n$/),
    'promise.mjs: port: must be a whole number from 1 to 65535, not 0\n',
    'old.cjs: port: must be a whole number from 1 to 65535, not 0\n',
  ]);
});
