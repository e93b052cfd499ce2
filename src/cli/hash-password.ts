/** `fairlead hash-password`: what stands for a password in `basic_auth`. The password itself is never an argument: others see those. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { hashPassword } from '../config/values/password-hash.ts';
import { type CommandSpec, HELP_FLAG, helpOf } from './command-spec.ts';
import { EXIT_FINE } from './exit.ts';
import { writeJson } from './json-output.ts';
import { parseFlags, UsageError, withUsageErrors } from './tool-flags.ts';

export const HASH_PASSWORD = {
  name: 'hash-password',
  usage: '< FILE',
  about: `Reads a password from standard input, up to the end of its first line, and prints what stands for it in the users of a route's
basic_auth, between quotes. On a terminal it asks for the password, and does not show it.`,
  flags: {
    json: { type: 'boolean', help: 'as JSON: { hash }' },
    ...HELP_FLAG,
  },
  examples: ['fairlead hash-password', 'fairlead hash-password < password.txt'],
} as const satisfies CommandSpec;

export function runHashPassword(args: readonly string[]): Promise<number> {
  return withUsageErrors('hash-password', async () => {
    const { values, positionals } = parseFlags(args, HASH_PASSWORD.flags);
    if (values.help === true) {
      process.stdout.write(helpOf(HASH_PASSWORD));
      return EXIT_FINE;
    }
    if (positionals.length > 0) {
      throw new UsageError('takes no arguments: the password comes from standard input');
    }
    const password = process.stdin.isTTY
      ? await askFor('Password: ')
      : firstLine(await text(process.stdin));
    if (password === '') throw new UsageError('the password is empty');
    const hash = hashPassword(password);
    if (values.json === true) writeJson({ hash });
    else process.stdout.write(`${hash}\n`);
    return EXIT_FINE;
  });
}

function firstLine(input: string): string {
  const [line = '', ...more] = input.split(/\r?\n/);
  if (more.some((other) => other !== '')) throw new UsageError('a password is one line');
  return line;
}

/** What is typed is not shown. */
function askFor(question: string): Promise<string> {
  process.stderr.write(question);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  return new Promise((resolve) => {
    lines.once('line', resolve);
    // Ctrl-C or Ctrl-D: nothing was given.
    lines.once('close', () => resolve(''));
  }).then((line) => {
    lines.close();
    process.stderr.write('\n');
    return String(line);
  });
}
