/** `fairlead token new`: a token of the admin API, and what stands for it in the file of tokens. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ADMIN_ROLES, isTokenName, makeToken } from '../config/read/admin-token.ts';
import { readTokensFile } from '../config/read/admin-tokens.ts';
import { type CommandSpec, HELP_FLAG, helpOf } from './command-spec.ts';
import { EXIT_FAILED, EXIT_FINE, EXIT_USAGE } from './exit.ts';
import { writeJson } from './json-output.ts';
import { parseFlags, UsageError, withUsageErrors } from './tool-flags.ts';

export const TOKEN = {
  name: 'token',
  usage: 'new NAME --role viewer|operator [--file FILE]',
  about: `Makes a token of the admin API. Its first line of output is the token, which is shown this once and kept nowhere; the second one
is for the file that admin.tokens_file names: name, role, and a hash that nobody finds the token by.`,
  flags: {
    role: {
      type: 'string',
      value: 'ROLE',
      values: ADMIN_ROLES,
      help: 'viewer: may read; operator: may do all',
    },
    file: {
      type: 'string',
      value: 'FILE',
      help: 'writes that line to the end of FILE, and prints the token alone',
    },
    json: { type: 'boolean', help: 'as JSON: { name, role, token, line }' },
    ...HELP_FLAG,
  },
  words: ['new'],
  examples: [
    'fairlead token new grafana --role viewer --file tokens',
    'FAIRLEAD_ADMIN_TOKEN=$(fairlead token new ci --role operator --file tokens) fairlead status',
  ],
} as const satisfies CommandSpec;

export function runToken(args: readonly string[]): Promise<number> {
  return withUsageErrors('token', () => {
    const { values, positionals } = parseFlags(args, TOKEN.flags);
    if (values.help === true) {
      process.stdout.write(helpOf(TOKEN));
      return EXIT_FINE;
    }
    const [action, name, ...more] = positionals;
    if (action !== 'new' || name === undefined) {
      throw new UsageError('say whose: fairlead token new NAME --role viewer|operator');
    }
    if (more.length > 0) throw new UsageError(`Unexpected argument "${more[0]}"`);
    if (!isTokenName(name)) {
      throw new UsageError(
        `a name is 1 to 64 letters, digits, and any of _ . @ + -, not "${name}"`,
      );
    }
    const role = ADMIN_ROLES.find((one) => one === values.role);
    if (role === undefined) throw new UsageError(`--role must be one of ${ADMIN_ROLES.join(', ')}`);
    const { token, line } = makeToken(name, role);
    if (values.file !== undefined) {
      const fault = append(path.resolve(values.file), name, line);
      if (fault !== undefined) {
        process.stderr.write(`fairlead token: ${fault}\n`);
        return fault.startsWith('cannot') ? EXIT_FAILED : EXIT_USAGE;
      }
    }
    const texts = values.file === undefined ? [token, line] : [token];
    if (values.json === true) writeJson({ name, role, token, line });
    else process.stdout.write(`${texts.join('\n')}\n`);
    return EXIT_FINE;
  });
}

/** @returns what is wrong; then nothing was written. */
function append(file: string, name: string, line: string): string | undefined {
  try {
    let before = '';
    if (existsSync(file)) {
      const { tokens, faults } = readTokensFile(file);
      const [fault] = faults;
      if (fault !== undefined) {
        return fault.line === undefined ? fault.message : `${file}:${fault.line}: ${fault.message}`;
      }
      if (tokens.some((one) => one.name === name)) return `${file} has a token ${name} already`;
      before = readFileSync(file, 'latin1').endsWith('\n') ? '' : '\n';
    }
    appendFileSync(file, `${before}${line}\n`, { mode: 0o600 });
    return undefined;
  } catch (error) {
    return `cannot write ${file}: ${(error as Error).message}`;
  }
}
