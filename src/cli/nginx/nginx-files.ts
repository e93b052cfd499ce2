/** An nginx config with all that it includes, as one tree. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describeFileError } from '../../config/read/config-file.ts';
import { filePattern } from './file-pattern.ts';
import { type Directive, type NginxPlace, NginxSyntaxError, parseNginx } from './nginx-syntax.ts';

const MOST_FILES = 1_000;
const MOST_BYTES = 16 * 1024 * 1024;

/** Of the main file: what `include` and certificates are relative to. */
export interface NginxTree {
  readonly folder: string;
  readonly directives: readonly Directive[];
}

interface Bounds {
  files: number;
  bytes: number;
}

/**
 * Puts the directives of included files in the place of each `include`.
 * @throws NginxSyntaxError where a file can't be read, is none of nginx, or includes itself.
 */
export function readNginx(shown: string, cwd: string): NginxTree {
  const file = path.resolve(cwd, shown);
  const folder = path.dirname(file);
  const start: NginxPlace = { file: shown, line: 1, column: 1 };
  const bounds = { files: 0, bytes: 0 };
  return { folder, directives: readFile(file, shown, start, folder, [], bounds) };
}

function readFile(
  file: string,
  shown: string,
  from: NginxPlace,
  folder: string,
  open: readonly string[],
  bounds: Bounds,
): Directive[] {
  if (open.includes(file)) throw new NginxSyntaxError(from, `${shown} includes itself`);
  if (++bounds.files > MOST_FILES) throw new NginxSyntaxError(from, 'more than 1,000 files');
  let text: string;
  try {
    const stat = statSync(file);
    // A device never ends, and a pipe never begins. Whoever names one as the main file has their reasons.
    if (open.length > 0 && !stat.isFile()) {
      throw new NginxSyntaxError(from, `${shown} is no file`);
    }
    bounds.bytes += stat.size;
    if (bounds.bytes > MOST_BYTES) throw new NginxSyntaxError(from, 'more than 16 MiB of config');
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof NginxSyntaxError) throw error;
    throw new NginxSyntaxError(from, `cannot read ${shown}: ${describeFileError(error)}`);
  }
  const expand = (directives: readonly Directive[]): Directive[] =>
    directives.flatMap((directive) => {
      const { name, args, block } = directive;
      if (block !== undefined) return { ...directive, block: expand(block) };
      if (name !== 'include') return directive;
      const [pattern, ...more] = args;
      if (pattern === undefined || more.length > 0) {
        throw new NginxSyntaxError(directive, '"include" names one file or pattern');
      }
      return filesOf(path.resolve(folder, pattern)).flatMap((included) => {
        const named = path.isAbsolute(pattern) ? included : path.relative(folder, included);
        return readFile(included, named, directive, folder, [...open, file], bounds);
      });
    });
  return expand(parseNginx(text, shown));
}

/** As glob(3) has them, in their order: `*`, `?` and `[a-z]` in any part. A name without those is itself. */
function filesOf(pattern: string): string[] {
  if (!/[*?[]/.test(pattern)) return [pattern];
  const { root } = path.parse(pattern);
  const parts = pattern.slice(root.length).split(path.sep);
  let found = [root];
  for (const part of parts) {
    if (!/[*?[]/.test(part)) {
      found = found.map((folder) => path.join(folder, part)).filter(isThere);
      continue;
    }
    const isMeant = filePattern(part);
    found = found.flatMap((folder) =>
      namesIn(folder)
        .filter((name) => isMeant(name) && (part.startsWith('.') || !name.startsWith('.')))
        .map((name) => path.join(folder, name)),
    );
  }
  return found;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).toSorted();
  } catch {
    return [];
  }
}

function isThere(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false }) !== undefined;
}
