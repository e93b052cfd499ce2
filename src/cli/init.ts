/** `fairlead init`: a commented config to start from. On a terminal it asks for what was not given. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { isCode } from '../config/code-file.ts';
import { loadSettings } from '../config/load.ts';
import { readConfigFile } from '../config/read/config-file.ts';
import { STRATEGY_NAMES } from '../snapshot/snapshot.ts';
import { type CommandSpec, HELP_FLAG, helpOf } from './command-spec.ts';
import { EXIT_FAILED, EXIT_FINE } from './exit.ts';
import { type InitChoices, initText } from './init-text.ts';
import { writeJson } from './json-output.ts';
import { writeNewFile } from './new-file.ts';
import { type Answer, Interrupted, Questions } from './terminal/questions.ts';
import { parseFlags, UsageError, withUsageErrors } from './tool-flags.ts';

const FORMATS = ['yaml', 'ts', 'js'] as const;
type Format = (typeof FORMATS)[number];

/** What stands in the file where nobody said anything. */
const USUAL = {
  backends: 'http://localhost:3001',
  port: '8080',
  'admin-port': '9000',
  strategy: STRATEGY_NAMES[0],
} as const;

export const INIT = {
  name: 'init',
  usage: '[URL…] [--output FILE] [--format yaml|ts|js] [options]',
  about: `Writes a commented config to start from, with these backends. On a terminal it asks for what is not given; elsewhere, and with --yes,
it takes the usual values. A file that is there stays as it is. Ctrl-C leaves nothing behind.`,
  flags: {
    output: {
      type: 'string',
      short: 'o',
      value: 'FILE',
      help: 'where it goes (fairlead.config.yaml, .ts or .js)',
    },
    format: {
      type: 'string',
      value: 'FORMAT',
      values: FORMATS,
      help: 'yaml, ts or js: data, or code with types (yaml; else as FILE ends)',
    },
    port: {
      type: 'string',
      short: 'p',
      value: 'PORT',
      help: `where clients connect (${USUAL.port})`,
    },
    'admin-port': {
      type: 'string',
      value: 'PORT',
      help: `where the admin API listens (${USUAL['admin-port']})`,
    },
    strategy: {
      type: 'string',
      value: 'NAME',
      values: STRATEGY_NAMES,
      help: `who gets the next request (${USUAL.strategy})`,
    },
    yes: { type: 'boolean', short: 'y', help: 'asks nothing' },
    force: { type: 'boolean', help: 'replaces a file that is there' },
    json: { type: 'boolean', help: 'asks nothing; as JSON: { file, format, notes }' },
    ...HELP_FLAG,
  },
  examples: [
    'fairlead init',
    'fairlead init http://:3001 http://:3002 --port 80 --yes',
    'fairlead init --format ts --output fairlead.config.ts',
  ],
} as const satisfies CommandSpec;

type Flags = ReturnType<typeof parseFlags<typeof INIT.flags>>['values'];

export function runInit(args: readonly string[]): Promise<number> {
  return withUsageErrors('init', async () => {
    const { values, positionals } = parseFlags(args, INIT.flags);
    if (values.help === true) {
      process.stdout.write(helpOf(INIT));
      return EXIT_FINE;
    }
    const isAsked = process.stdin.isTTY && process.stderr.isTTY && values.yes !== true;
    try {
      return await init(values, positionals, isAsked && values.json !== true);
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      process.stderr.write('\nfairlead init: interrupted, nothing was written\n');
      return EXIT_FAILED;
    }
  });
}

async function init(flags: Flags, urls: readonly string[], isAsked: boolean): Promise<number> {
  // What can't be is said before anybody has answered anything.
  const format = formatOf(flags);
  const shown = flags.output ?? `fairlead.config.${format}`;
  const file = path.resolve(shown);
  if (flags.force !== true && existsSync(file)) {
    return failed(`${file} is there already: --force replaces it, --output writes elsewhere`);
  }
  const choices = await chosen(flags, urls, isAsked);
  const text = initText(choices, format === 'yaml' ? 'yaml' : 'code', shown);
  const fault = writeNewFile(file, text, flags.force === true);
  if (fault !== undefined) return failed(fault);
  const notes = notesOn(file, format);
  if (flags.json === true) {
    writeJson({ file, format, notes });
    return EXIT_FINE;
  }
  for (const note of notes) process.stderr.write(`note: ${note}\n`);
  process.stdout.write(`${file} is written
  fairlead check --config ${shown}
  fairlead --config ${shown}
`);
  return EXIT_FINE;
}

function failed(message: string): number {
  process.stderr.write(`fairlead init: ${message}\n`);
  return EXIT_FAILED;
}

/** Throws `UsageError`. */
function formatOf({ format, output }: Flags): Format {
  const named = FORMATS.find((one) => one === format);
  if (format !== undefined && named === undefined) {
    throw new UsageError(`--format must be one of ${FORMATS.join(', ')}, not "${format}"`);
  }
  if (output === undefined) return named ?? 'yaml';
  const ending = /\.([mc]?[jt]s|ya?ml)$/i.exec(output)?.[1]?.toLowerCase();
  if (ending === undefined || ending.startsWith('c')) {
    throw new UsageError(
      `--output: "${output}" does not end with .yaml, .yml, .ts, .mts, .js or .mjs`,
    );
  }
  const fitting = !isCode(output) ? 'yaml' : ending.endsWith('ts') ? 'ts' : 'js';
  if (named !== undefined && named !== fitting) {
    throw new UsageError(`--output: "${output}" does not end as --format ${named} does`);
  }
  return fitting;
}

async function chosen(
  flags: Flags,
  urls: readonly string[],
  isAsked: boolean,
): Promise<InitChoices> {
  const { port, 'admin-port': adminPort, strategy } = flags;
  const givenBackends = urls.length === 0 ? undefined : urls.join(' ');
  const questions = isAsked ? new Questions() : undefined;
  // What was given is not asked for; what is wrong with it can't be asked for again.
  async function take<T>(
    given: string | undefined,
    question: string,
    usual: string,
    read: (text: string) => Answer<T>,
  ): Promise<T> {
    if (given === undefined && questions !== undefined) return questions.ask(question, usual, read);
    const answer = read(given ?? usual);
    if (!answer.ok) throw new UsageError(answer.reason);
    return answer.value;
  }
  try {
    const backends = await take(givenBackends, 'Backends', USUAL.backends, (text) =>
      checked(
        'backends',
        text.split(/[\s,]+/).filter((url) => url !== ''),
      ),
    );
    const own = await take(port, 'Port for clients', USUAL.port, (text) =>
      checked('port', Number(text), text),
    );
    const admin = await take(adminPort, 'Port for the admin API', USUAL['admin-port'], (text) =>
      Number(text) === own
        ? { ok: false, reason: `the admin API must have another port than clients, not ${text}` }
        : checked('admin_port', Number(text), text),
    );
    const chosenStrategy = await take(strategy, 'Strategy', USUAL.strategy, (text) =>
      checked('strategy', text),
    );
    return { backends, port: own, adminPort: admin, strategy: chosenStrategy };
  } finally {
    questions?.close();
  }
}

/** As the config itself judges it. @param text in place of what is no number. */
function checked<T>(key: string, value: T, text?: string): Answer<T> {
  const shown = typeof value === 'number' && Number.isNaN(value) ? text : value;
  const values = [{ name: key, path: [key], value: shown }];
  const loaded = loadSettings({ flags: { config: false, values }, env: {}, cwd: process.cwd() });
  if (loaded.ok) return { ok: true, value };
  // The ports of what is not asked yet are no problem of this one.
  const own = loaded.problems.filter(({ path: where }) => where.split('.')[0] === key);
  if (own.every(({ message }) => message.startsWith('must differ from'))) {
    return { ok: true, value };
  }
  return {
    ok: false,
    reason: own
      .map(({ message, hint }) => `${key}: ${message}${hint === undefined ? '' : ` (${hint})`}`)
      .join('\n'),
  };
}

function notesOn(file: string, format: Format): string[] {
  const notes: string[] = [];
  const read = readConfigFile({ hasBackends: false }, {}, process.cwd());
  if (read.ok && read.file !== undefined && read.file.absolute !== file) {
    notes.push(`without --config, fairlead reads ${read.file.shown} here`);
  }
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (format === 'ts' && (major < 22 || (major === 22 && minor < 18))) {
    notes.push(
      `Node ${process.versions.node} does not read TypeScript: --format js has the same types`,
    );
  }
  if (format !== 'yaml' && !isInstalledNear(file)) {
    notes.push('it imports fairlead, which is not installed here: npm install fairlead');
  }
  return notes;
}

function isInstalledNear(file: string): boolean {
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'node_modules', 'fairlead'))) return true;
    if (folder === path.dirname(folder)) return false;
  }
}
