/**
 * Compiles src/ twice: module by module to build/, for tests and tools that load single ones, and to dist/, which users run and which
 * loads in half the time (docs/decisions/0034-one-bundle.md). `--keep` leaves what is there in place, for a build beside a running
 * process.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { build as buildPage } from 'vite';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What a process, a thread or an import of a user begins with: the name in dist/, and the source. */
const ENTRIES = {
  'cli/main': 'src/cli/main.ts',
  'config/code-worker': 'src/config/code-worker.ts',
  'data/worker': 'src/data/worker.ts',
  index: 'src/index.ts',
};
/** pino finds files of its own beside its modules. */
const NOT_BUNDLED = ['pino'];

function compile() {
  const tsc = [`${root}node_modules/typescript/bin/tsc`, '-p', `${root}tsconfig.build.json`];
  return spawnSync(process.execPath, tsc, { stdio: 'inherit' }).status ?? 1;
}

/**
 * An import of a module of Node reads everything that the module exports, to be able to name it, and that loads what was to be loaded when
 * somebody asks for it: node:http has `WebSocket`, and fetch behind it, in every thread. Asked for as a value, it is only what is named.
 */
const plainBuiltins = {
  name: 'plain-builtins',
  renderChunk(code) {
    // From the last to the first, so that places stay true.
    for (const { type, start, end, source, specifiers } of this.parse(code).body.toReversed()) {
      if (type !== 'ImportDeclaration' || !source.value.startsWith('node:')) continue;
      const module = `process.getBuiltinModule(${JSON.stringify(source.value)})`;
      const named = specifiers.filter(isNamed);
      const constants = specifiers
        .filter((specifier) => !isNamed(specifier))
        .map(({ type: kind, local }) => {
          if (kind === 'ImportNamespaceSpecifier') throw new Error(code.slice(start, end));
          return `const ${local.name} = ${module};`;
        });
      if (named.length > 0) {
        const names = named.map(({ imported, local }) => `${imported.name}: ${local.name}`);
        constants.push(`const { ${names.join(', ')} } = ${module};`);
      }
      code = code.slice(0, start) + constants.join('\n') + code.slice(end);
    }
    return { code };
  },
};

function isNamed({ type, imported }) {
  return type === 'ImportSpecifier' && imported.name !== 'default';
}

/** Names stay: stack traces and the code are for reading. */
async function bundle() {
  const bundled = await rolldown({
    cwd: root,
    input: ENTRIES,
    platform: 'node',
    external: NOT_BUNDLED,
    plugins: [plainBuiltins],
    // How long a plugin takes says something of the machine, and nothing of the build.
    checks: { bundlerTimings: false },
    onLog(level, { message }) {
      if (level === 'warn') throw new Error(message);
    },
  });
  const { output } = await bundled.write({
    dir: `${root}dist`,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
  });
  await bundled.close();
  return output;
}

/** `import.meta.url` must lead to the same files from src/, build/ and dist/: what asks it is in a folder of these. */
function checkPlaces(output) {
  const misplaced = output.filter(
    ({ code, fileName }) => code?.includes('import.meta.url') && fileName.split('/').length !== 2,
  );
  for (const { fileName } of misplaced) throw new Error(`dist/${fileName}: import.meta.url`);
}

/** Those that an import of the package leads to, from build/, which has them of all modules. */
function copyTypes(name, copied = new Set()) {
  if (copied.has(name)) return;
  copied.add(name);
  const text = readFileSync(`${root}build/${name}.d.ts`, 'utf8');
  cpSync(`${root}build/${name}.d.ts`, `${root}dist/${name}.d.ts`);
  for (const [, path] of text.matchAll(/\b(?:from |import\()['"](\.[^'"]+)\.[jt]s['"]/g))
    copyTypes(posix.join(posix.dirname(name), path), copied);
}

/** The dashboard as one file, with its style and its script inside: nothing else has to be found, whatever is in front of it. */
async function dashboard() {
  const { output } = await buildPage({
    root: `${root}src/dashboard`,
    configFile: false,
    logLevel: 'warn',
    build: { write: false, modulePreload: false, target: 'es2023' },
  });
  const ofKind = (ending) => output.filter(({ fileName }) => fileName.endsWith(ending));
  const [[page], [script, ...scripts], [style, ...styles]] = ['.html', '.js', '.css'].map(ofKind);
  if (scripts.length > 0 || styles.length > 0) throw new Error('the dashboard is in pieces');
  const inside = { script: script.code, style: String(style.source) };
  for (const [tag, text] of Object.entries(inside))
    if (text.includes(`</${tag}`)) throw new Error(`the dashboard has </${tag} in it`);
  const html = String(page.source)
    .replaceAll(/^\s+/gm, '')
    .replace(
      /<script type="module"[^>]*><\/script>/,
      () => `<script type="module">${inside.script}</script>`,
    )
    .replace(/<link rel="stylesheet"[^>]*>/, () => `<style>${inside.style}</style>`);
  for (const folder of ['build', 'dist']) {
    mkdirSync(`${root}${folder}/dashboard`, { recursive: true });
    writeFileSync(`${root}${folder}/dashboard/index.html`, html);
  }
  return output;
}

/** What the licences of bundled packages ask for. */
function licences(output) {
  const modules = output.flatMap(({ moduleIds = [] }) => moduleIds).join('\n');
  const folders = new Set(modules.match(/^.*\/node_modules\/(?:@[^/\n]+\/)?[^/\n]+(?=\/)/gm));
  return Array.from(folders)
    .toSorted()
    .map((folder) => {
      const { name, version } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
      return `${name} ${version}\n\n${readFileSync(`${folder}/LICENSE`, 'utf8').trim()}\n`;
    });
}

if (!process.argv.includes('--keep')) {
  for (const folder of ['build', 'dist'])
    rmSync(`${root}${folder}`, { recursive: true, force: true });
}
process.exitCode = compile();
const output = [...(await bundle()), ...(await dashboard())];
checkPlaces(output);
writeFileSync(`${root}dist/THIRD_PARTY_LICENSES.txt`, licences(output).join('\n\n'));
// Without the executable bit, `npx fairlead` in this folder would not run it.
chmodSync(`${root}dist/cli/main.js`, 0o755);
// For editors: `"$schema": "./node_modules/fairlead/dist/fairlead.schema.json"` in a config file.
if (existsSync(`${root}build/config/schema/schema.js`)) {
  copyTypes('index');
  const [{ manPage }, { COMMANDS }] = await Promise.all([
    import('../build/cli/man-page.js'),
    import('../build/cli/commands.js'),
  ]);
  writeFileSync(`${root}dist/fairlead.1`, await manPage(COMMANDS));
  const { jsonSchema } = await import('../build/config/schema/schema.js');
  writeFileSync(`${root}dist/fairlead.schema.json`, `${JSON.stringify(jsonSchema(), null, 2)}\n`);
}
