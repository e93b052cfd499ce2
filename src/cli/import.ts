/** `fairlead import nginx FILE`: the common subset of an nginx config as a config of Fairlead, and what is not in it. */
import path from 'node:path';
import { validateConfigText } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import { type CommandSpec, HELP_FLAG, helpOf } from './command-spec.ts';
import { EXIT_FAILED, EXIT_FINE, EXIT_USAGE } from './exit.ts';
import { writeJson } from './json-output.ts';
import { writeNewFile } from './new-file.ts';
import { type Imported, importNginx } from './nginx/convert.ts';
import { importedText, lineOf } from './nginx/import-text.ts';
import { type NginxTree, readNginx } from './nginx/nginx-files.ts';
import { NginxSyntaxError } from './nginx/nginx-syntax.ts';
import { parseFlags, UsageError, withUsageErrors } from './tool-flags.ts';

export const IMPORT = {
  name: 'import',
  usage: 'nginx FILE [--output FILE] [--force]',
  about: `Makes a config of Fairlead from one of nginx, with all that it includes: servers, locations, upstreams, certificates, fields, limits. What it
could not carry over, and what works otherwise here, is said with its line on standard error, and in the config. Access that can't be
checked in the same way is closed to all.`,
  flags: {
    output: {
      type: 'string',
      short: 'o',
      value: 'FILE',
      help: 'where the config goes (standard output)',
    },
    force: { type: 'boolean', help: 'replaces a file that is there' },
    json: { type: 'boolean', help: 'as JSON: { file, config, findings, problems }' },
    ...HELP_FLAG,
  },
  words: ['nginx'],
  examples: [
    'fairlead import nginx /etc/nginx/nginx.conf --output fairlead.config.yaml',
    'fairlead import nginx shop.conf > fairlead.yaml && fairlead check --config fairlead.yaml',
  ],
  exitCodes:
    '0 written, whatever was left out; 1 what it made is no config, or it could not be written; 2 FILE is none of nginx, or a bad argument.',
} as const satisfies CommandSpec;

export function runImport(args: readonly string[]): Promise<number> {
  return withUsageErrors('import', () => {
    const { values, positionals } = parseFlags(args, IMPORT.flags);
    if (values.help === true) {
      process.stdout.write(helpOf(IMPORT));
      return EXIT_FINE;
    }
    const [from, shown, extra] = positionals;
    if (from !== 'nginx' || shown === undefined) {
      throw new UsageError('say from where: fairlead import nginx FILE');
    }
    if (extra !== undefined) throw new UsageError(`Unexpected argument "${extra}"`);
    const tree = read(shown);
    if (typeof tree === 'number') return tree;
    const imported = importNginx(tree);
    return write(imported, importedText(imported, shown), values);
  });
}

/** @returns the exit code where it can't be read. */
function read(shown: string): NginxTree | number {
  try {
    return readNginx(shown, process.cwd());
  } catch (error) {
    if (!(error instanceof NginxSyntaxError)) throw error;
    const { file, line, column } = error.place;
    process.stderr.write(`${file}:${line}:${column}: ${error.message}\n`);
    return EXIT_USAGE;
  }
}

function write(
  { report }: Imported,
  text: string,
  flags: { readonly output?: string; readonly force?: boolean; readonly json?: boolean },
): number {
  const { findings } = report;
  const file = flags.output === undefined ? undefined : path.resolve(flags.output);
  const input = { flags: { values: [] }, env: {}, cwd: process.cwd() };
  const loaded = validateConfigText(text, 'the config', { ...input, configFile: file });
  const problems = loaded.ok ? [] : loaded.problems;
  const fault = file === undefined ? undefined : writeNewFile(file, text, flags.force === true);
  if (fault !== undefined) {
    process.stderr.write(`fairlead import: ${fault}\n`);
    return EXIT_FAILED;
  }
  if (flags.json === true) writeJson({ file: file ?? null, config: text, findings, problems });
  else {
    if (file === undefined) process.stdout.write(text);
    else process.stdout.write(`${file} is written\n`);
    for (const finding of findings) process.stderr.write(`${lineOf(finding)}\n`);
    for (const problem of problems) process.stderr.write(`error: ${formatProblem(problem)}\n`);
  }
  return problems.length === 0 ? EXIT_FINE : EXIT_FAILED;
}
