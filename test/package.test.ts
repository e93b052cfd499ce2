import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { expect, test } from 'vitest';
import { PAGES, readPage } from './docs/markdown.ts';
import { COMMAND, COMMAND_IN_MODULES } from './support/fairlead.ts';
import { importsOf } from './support/import-rules.ts';

interface LockedPackage {
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const lockFile = readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8');
const packages = Object.entries(
  (JSON.parse(lockFile) as { packages: Record<string, LockedPackage> }).packages,
);

test('what users install with Fairlead is fewer than 20 packages', () => {
  const atRunTime = packages
    .filter(([path, { dev, devOptional }]) => path !== '' && dev !== true && devOptional !== true)
    .map(([path]) => path);
  expect(atRunTime).toContain('node_modules/zod');
  expect(atRunTime.length).toBeLessThan(20);
});

test('the lock file names no download addresses', () => {
  expect(packages.filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
  expect(lockFile).not.toContain('.tgz');
});

test('the lock file names the packages of every platform, or `npm ci` refuses it', () => {
  const locked = new Set(packages.map(([path]) => path));
  const optional = packages.flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).map((name) => ({ path, name })),
  );
  const missing = optional.filter(
    ({ path, name }) =>
      !locked.has(`${path}/node_modules/${name}`) && !locked.has(`node_modules/${name}`),
  );
  expect(optional.length).toBeGreaterThan(0);
  expect(missing).toEqual([]);
});

const root = new URL('../', import.meta.url);

/** Of a folder, with those below it. */
function sourcesIn(folder: string, ending: string): { file: string; text: string }[] {
  const at = new URL(`${folder}/`, root);
  return readdirSync(at, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending))
    .map((file) => ({ file, text: readFileSync(new URL(file, at), 'utf8') }));
}

test('what the program loads comes with it or is installed with it, and what comes with it has its licence there', () => {
  const names = [...sourcesIn('dist', '.js'), ...sourcesIn('dist', '.d.ts')].flatMap(({ text }) =>
    importsOf(text),
  );
  const { dependencies } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const others = names.filter((name) => !/^(\.|node:)/.test(name));
  expect(others).toContain('pino');
  expect(others.filter((name) => dependencies[name] === undefined)).toEqual([]);
  const licences = readFileSync(new URL('dist/THIRD_PARTY_LICENSES.txt', root), 'utf8');
  const titles = Array.from(licences.matchAll(/^(\S+) \d+\.\d+\.\d+$/gm), ([, name]) => name);
  expect(titles).toEqual(['preact', 'uplot', 'yaml', 'zod']);
  expect(licences).toMatch(
    /^yaml[^]+Copyright Eemeli Aro[^]+^zod[^]+Copyright \(c\) 2025 Colin McDonnell/m,
  );
});

test('the links of the README and of the documentation lead to files of the package', () => {
  const { files } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
    files: string[];
  };
  const isPacked = (path: string): boolean =>
    files.some((one) => path === one || path.startsWith(`${one}/`));
  const links = PAGES.filter(isPacked).flatMap((page) =>
    Array.from(readPage(page).matchAll(/\]\(([^)\s#]+)/g), ([, link = '']) => link)
      .filter((link) => !/^https?:/.test(link))
      .map((link) => ({ page, to: posix.join(posix.dirname(page), link) })),
  );
  expect(links.filter(({ page }) => page === 'README.md').length).toBeGreaterThan(20);
  expect(links.filter(({ to }) => !isPacked(to))).toEqual([]);
});

test('of a module of Node, nothing is loaded but what is named', () => {
  const whole = sourcesIn('dist', '.js').filter(({ text }) => /^import\b.*"node:/m.test(text));
  expect(whole.map(({ file }) => file)).toEqual([]);
});

test('a start reads few files: hundreds of modules are in dozens of them', () => {
  const loaded = new Set<string>();
  const load = (url: URL): void => {
    if (loaded.has(url.href)) return;
    loaded.add(url.href);
    const statics = readFileSync(url, 'utf8').matchAll(/^import\b.*["'](\..+)["'];$/gm);
    for (const [, path = ''] of statics) load(new URL(path, url));
  };
  for (const file of ['cli/main', 'data/worker', 'chunks/command-line', 'chunks/run'])
    load(new URL(`dist/${file}.js`, root));
  expect(loaded.size).toBeLessThan(60);
});

test('files are named by way of `..`, which leads to them from src/, build/ and dist/chunks/', () => {
  const sources = sourcesIn('src', '.ts').filter(({ text }) => text.includes('import.meta.url'));
  expect(sources.length).toBeGreaterThan(1);
  const astray = sources.filter(({ text }) =>
    /new URL\(\s*['"`](?!\.\.\/)[^,]*,\s*import\.meta\.url/.test(text),
  );
  expect(astray.map(({ file }) => file)).toEqual([]);
});

test('what changes single modules of the program lets only that run which has them', () => {
  const preload = new URL('support/patches/throwing-http2.mjs', import.meta.url).href;
  const run = (program: string) =>
    spawnSync(process.execPath, ['--import', preload, program, '--version'], { encoding: 'utf8' });
  expect(run(COMMAND_IN_MODULES)).toMatchObject({ status: 0, stderr: '' });
  expect(run(COMMAND).stderr).toContain("its modules can't be changed one by one");
  expect(run(COMMAND).status).toBe(1);
});
