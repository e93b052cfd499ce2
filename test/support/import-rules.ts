/**
 * The rules of docs/architecture.md about who may import whom, as a table, and the checker that reads a source tree.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, posix } from 'node:path';

const MOST_LINES = 400;

/** The data path, in its order: each room may import those before it, and nothing runs back up. */
const DATA_PATH = [
  'data/barrier.ts',
  'data/deadlines.ts',
  'data/descriptors.ts',
  'data/wire/',
  'data/stream/',
  'data/balance/',
  'data/limit/',
  'data/route/',
  'data/backend/',
  'data/pool/',
  'data/relay/',
  'data/listen/',
  'data/explain/',
  'data/',
];

/** Names and numbers that everybody may know. */
const TABLES = ['errors.ts', 'grpc-status.ts'];

function dataRooms(): Record<string, readonly string[]> {
  return Object.fromEntries(
    DATA_PATH.map((room, index) => {
      const before = [...TABLES, 'snapshot/', 'net/', 'node:', ...DATA_PATH.slice(0, index)];
      // Bytes only: no socket, no clock, no counter.
      return [room, room === 'data/wire/' ? TABLES : before];
    }),
  );
}

/**
 * What the files of a room may import besides the files of the same room. The longest matching prefix is the room
 * of a file. `node:` and `npm` stand for Node's own modules and for packages.
 */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  'grpc-status.ts': [],
  'errors.ts': ['grpc-status.ts'],
  'snapshot/': TABLES,
  'net/': ['node:'],
  ...dataRooms(),
  'config/': [...TABLES, 'snapshot/', 'node:', 'npm'],
  'observe/': [...TABLES, 'snapshot/', 'node:', 'npm'],
  'control/': [...TABLES, 'snapshot/', 'net/', 'config/', 'observe/', ...DATA_PATH, 'node:', 'npm'],
  // A page, which runs in a browser: what it knows of the rest, it asks the admin API. What that answers: below.
  'dashboard/': ['npm'],
  'cli/': [...TABLES, 'snapshot/', 'config/', 'observe/', 'control/', 'node:', 'npm'],
  'library/': [
    ...TABLES,
    'snapshot/',
    'config/',
    'observe/',
    'control/',
    'data/relay/',
    'node:',
    'npm',
  ],
  'index.ts': [
    ...TABLES,
    'snapshot/',
    'config/',
    'observe/',
    'control/',
    'data/relay/',
    'library/',
    'node:',
  ],
};

/** Files of other rooms that a room may `import type` from: nothing of them is left where it runs. */
const KNOWN_BY_TYPE: Readonly<Record<string, readonly string[]>> = {
  'dashboard/': [
    'control/admin/answers.ts',
    'control/admin/explain-forms.ts',
    'control/admin/form.ts',
    'control/admin/request-forms.ts',
  ],
};

/** One line per violation, with the file it is in; empty when the tree keeps the rules. */
export function violations(sourceFolder: string): string[] {
  const files = readdirSync(sourceFolder, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => /\.(tsx?|css)$/.test(name))
    .toSorted();
  const imports = new Map<string, string[]>();
  const found: string[] = [];
  for (const file of files) {
    const text = readFileSync(join(sourceFolder, file), 'utf8');
    const targets = importsOf(text).map((specifier) => resolved(file, specifier));
    imports.set(file, targets);
    found.push(
      ...misnamed(file),
      ...tooLong(file, text),
      ...forbidden(file, withoutTypes(file, text)),
    );
  }
  return [...found, ...cycles(imports)];
}

function misnamed(file: string): string[] {
  const name = basename(file);
  if (name === 'utils.ts') return [`${file}: a file is named after the one thing it holds`];
  if (name === 'index.ts' && file !== 'index.ts')
    return [`${file}: src/index.ts is the only barrel`];
  if (!/^[a-z0-9]+(-[a-z0-9]+)*\.(tsx?|css)$/.test(name))
    return [`${file}: file names are kebab-case`];
  return [];
}

function tooLong(file: string, text: string): string[] {
  const lines = text.split('\n').length - 1;
  return lines > MOST_LINES ? [`${file}: ${lines} lines, at most ${MOST_LINES}`] : [];
}

/** What it imports, but for types that it may know. */
function withoutTypes(file: string, text: string): string[] {
  const known = KNOWN_BY_TYPE[roomOf(file) ?? ''] ?? [];
  const rest = text.replaceAll(
    /^import type\b[^'";]*?\bfrom\s*'([^']+)';$/gm,
    (whole, specifier: string) => (known.includes(resolved(file, specifier)) ? '' : whole),
  );
  return importsOf(rest).map((specifier) => resolved(file, specifier));
}

function forbidden(file: string, targets: readonly string[]): string[] {
  const room = roomOf(file);
  if (room === undefined) return [`${file}: no room of the architecture holds this file`];
  const allowed = ROOMS[room] ?? [];
  return targets
    .filter((target) => {
      const targetRoom = kindOf(target);
      return targetRoom !== room && (targetRoom === undefined || !allowed.includes(targetRoom));
    })
    .map((target) => `${file}: must not import ${target}`);
}

function kindOf(target: string): string | undefined {
  if (target.startsWith('node:')) return 'node:';
  return target.startsWith('npm:') ? 'npm' : roomOf(target);
}

function roomOf(file: string): string | undefined {
  return Object.keys(ROOMS)
    .filter((room) => (room.endsWith('/') ? file.startsWith(room) : file === room))
    .toSorted((a, b) => b.length - a.length)[0];
}

/** Static and dynamic imports, re-exports, and the files that workers are started from. */
export function importsOf(text: string): string[] {
  const code = text.replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, '');
  const patterns = [
    /^\s*(?:import|export)\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]/gm,
    /^\s*import\s*['"]([^'"]+)['"]/gm,
    /\bimport\(\s*['"]([^'"]+)['"]/g,
    /\bnew URL\(\s*['"](\.[^'"]+\.[jt]s)['"]\s*,\s*import\.meta\.url/g,
  ];
  return patterns.flatMap((pattern) =>
    Array.from(code.matchAll(pattern), ([, specifier]) => specifier as string),
  );
}

/** A path below the source folder, `node:…`, or `npm:…`. A worker may be named by its compiled file. */
function resolved(file: string, specifier: string): string {
  if (specifier.startsWith('node:')) return specifier;
  if (!specifier.startsWith('.')) return `npm:${specifier}`;
  return posix.normalize(posix.join(dirname(file), specifier)).replace(/\.js$/, '.ts');
}

/** Each cycle once, as the path that closes it. */
function cycles(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  function visit(file: string): void {
    const at = path.indexOf(file);
    if (at !== -1) {
      found.push(`import cycle: ${[...path.slice(at), file].join(' → ')}`);
      return;
    }
    if (done.has(file)) return;
    path.push(file);
    for (const target of imports.get(file) ?? []) visit(target);
    path.pop();
    done.add(file);
  }
  for (const file of imports.keys()) visit(file);
  return found;
}
