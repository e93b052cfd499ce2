/** Which file is the configuration, and its text. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { CONFIG_FILE_VARIABLE } from './environment.ts';
import type { Place, Problem } from './problem.ts';
import type { Environment } from './text-value.ts';

const DEFAULT_NAMES = [
  'fairlead.config.json',
  'fairlead.config.yaml',
  'fairlead.config.yml',
  'config.json',
];
const CODE_NAMES = ['ts', 'mts', 'js', 'mjs'].map((extension) => `fairlead.config.${extension}`);
const CODE_REFUSED = 'a config written as code is not supported in this version';
const CODE_HINT = 'write it as fairlead.config.yaml or fairlead.config.json';

export type ConfigFileResult =
  | {
      readonly ok: true;
      readonly file?: { readonly absolute: string; readonly shown: string; readonly text: string };
      readonly notes: readonly string[];
    }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** The file of `--config`, else of FAIRLEAD_CONFIG, else the first of the default names in the working folder, or none. */
export function readConfigFile(
  flag: string | undefined,
  environment: Environment,
  cwd: string,
): ConfigFileResult {
  if (flag !== undefined) return readNamed(flag, { origin: 'flag', name: '--config' }, cwd);
  const named = environment[CONFIG_FILE_VARIABLE];
  if (named !== undefined && named !== '') {
    return readNamed(named, { origin: 'environment', name: CONFIG_FILE_VARIABLE }, cwd);
  }
  const isThere = (name: string): boolean => existsSync(path.join(cwd, name));
  const [first, ...others] = DEFAULT_NAMES.filter(isThere);
  const code = CODE_NAMES.filter(isThere);
  if (first !== undefined) {
    const unread = [...others.filter((name) => name !== 'config.json'), ...code];
    const notes = unread.map((name) => `${name} is not read: ${first} comes first`);
    return readNamed(first, { origin: 'file', file: first }, cwd, notes);
  }
  if (code[0] !== undefined) {
    const place: Place = { origin: 'file', file: code[0] };
    return {
      ok: false,
      problems: [{ ...place, path: '', message: CODE_REFUSED, hint: CODE_HINT }],
    };
  }
  return { ok: true, notes: [] };
}

function readNamed(
  shown: string,
  place: Place,
  cwd: string,
  notes: readonly string[] = [],
): ConfigFileResult {
  if (/\.[mc]?[jt]s$/i.test(shown)) {
    return {
      ok: false,
      problems: [{ ...place, path: '', message: CODE_REFUSED, hint: CODE_HINT }],
    };
  }
  const absolute = path.resolve(cwd, shown);
  try {
    return { ok: true, file: { absolute, shown, text: readFileSync(absolute, 'utf8') }, notes };
  } catch (error) {
    const message = `cannot read ${shown}: ${describeFileError(error)}`;
    return { ok: false, problems: [{ ...place, path: '', message }] };
  }
}

const FILE_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a folder',
  ENOTDIR: 'no such file',
};

export function describeFileError(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return FILE_ERRORS[code ?? ''] ?? code ?? message;
}
