/** Which file is the configuration, and its text. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Place, Problem } from '../problem.ts';
import { TOP_LEVEL_KEYS } from '../schema/schema.ts';
import { CONFIG_FILE_VARIABLE } from './environment.ts';
import { isMapping } from './layer.ts';
import type { Environment } from './text-value.ts';

const EXTENSIONS = ['ts', 'mts', 'js', 'mjs', 'json', 'yaml', 'yml'];
const OWN_NAMES = EXTENSIONS.map((extension) => `fairlead.config.${extension}`);
/** A name that many programs use: see `isOurs`. */
const COMMON_NAME = 'config.json';

export type ConfigFileResult =
  | {
      readonly ok: true;
      readonly file?: { readonly absolute: string; readonly shown: string; readonly text: string };
      readonly notes: readonly string[];
    }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** What the command line says of the file. */
export interface ConfigFileChoice {
  /** `--config`; false: `--no-config`. */
  readonly config?: string | false;
  /** Whether backends are given: then no file is taken that may be another program's. */
  readonly hasBackends: boolean;
}

/**
 * The file of `--config`, else of FAIRLEAD_CONFIG, else the first of our own names in the working folder, else its
 * `config.json` where that is for us, or none.
 */
export function readConfigFile(
  { config, hasBackends }: ConfigFileChoice,
  environment: Environment,
  cwd: string,
): ConfigFileResult {
  if (config === false) return { ok: true, notes: [] };
  if (config !== undefined) return readNamed(config, { origin: 'flag', name: '--config' }, cwd);
  const named = environment[CONFIG_FILE_VARIABLE];
  if (named !== undefined && named !== '') {
    return readNamed(named, { origin: 'environment', name: CONFIG_FILE_VARIABLE }, cwd);
  }
  const isThere = (name: string): boolean => existsSync(path.join(cwd, name));
  const [first, ...others] = OWN_NAMES.filter(isThere);
  if (first === undefined) return isThere(COMMON_NAME) ? readCommon(cwd, hasBackends) : NO_FILE;
  const notes = others.map((name) => `${name} is not read: ${first} comes first`);
  return readNamed(first, { origin: 'file', file: first }, cwd, notes);
}

const NO_FILE: ConfigFileResult = { ok: true, notes: [] };

/** The `config.json` of the working folder, or a note why it is left alone. */
function readCommon(cwd: string, hasBackends: boolean): ConfigFileResult {
  const leftAlone = (reason: string): ConfigFileResult => ({
    ok: true,
    notes: [`${COMMON_NAME} is not read: ${reason} (--config ${COMMON_NAME} reads it)`],
  });
  if (hasBackends) return leftAlone('backends are given on the command line');
  const result = readNamed(COMMON_NAME, { origin: 'file', file: COMMON_NAME }, cwd);
  if (!result.ok) {
    const hint = '--no-config starts without it';
    return { ok: false, problems: result.problems.map((problem) => ({ ...problem, hint })) };
  }
  if (isOurs(result.file?.text ?? '')) return result;
  return leftAlone('it has no key of a Fairlead config beside "port", so it is another program\'s');
}

function isOwnKey(key: string): boolean {
  return key !== 'port' && TOP_LEVEL_KEYS.includes(key);
}

/** Any program may have a `port`. A text that is broken is judged by what looks like a key in it. */
function isOurs(text: string): boolean {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [...text.matchAll(/"(\w+)"\s*:/g)].some(([, key]) => isOwnKey(key as string));
  }
  return isMapping(value) && Object.keys(value).some(isOwnKey);
}

function readNamed(
  shown: string,
  place: Place,
  cwd: string,
  notes: readonly string[] = [],
): ConfigFileResult {
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
