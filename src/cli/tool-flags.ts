/** Reading the flags of the small tools (`backend`, `demo`, `try`): what is wrong with them is one kind of error. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { didYouMean, type Synonyms } from '../config/values/nearest.ts';

/** The command line is wrong: printed with the tool's name, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Short flags and words of other programs, for whichever command knows what they mean. */
export const FLAG_SYNONYMS: Synonyms = new Map([
  ['p', ['port']],
  ['c', ['config']],
  ['f', ['config']],
  ['s', ['strategy']],
  ['w', ['weight']],
  ['listen', ['port', 'host']],
  ['bind', ['port', 'host']],
  ['address', ['host', 'port']],
  ['cert', ['ssl-cert']],
  ['tls-cert', ['ssl-cert']],
  ['key', ['ssl-key']],
  ['tls-key', ['ssl-key']],
  ['balance', ['strategy']],
  ['algorithm', ['strategy']],
  ['workers', ['threads']],
  ['verbose', ['log-level']],
  ['quiet', ['log-level']],
  ['url', ['admin']],
]);

type FlagSpecs = NonNullable<ParseArgsConfig['options']>;
type Parsed<F extends FlagSpecs> = ReturnType<
  typeof parseArgs<{ args: string[]; options: F; allowPositionals: true; strict: true }>
>;

/** `parseArgs`, with the nearest right name for a mistyped flag. Throws `UsageError`. */
export function parseFlags<const F extends FlagSpecs>(
  args: readonly string[],
  options: F,
): Parsed<F> {
  let parsed: Parsed<F>;
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    // Node's message goes on with advice about positional arguments after the first sentence.
    const [message] = (error as Error).message.split(/\. |\n/);
    const mistyped = /^Unknown option '--?([^']+)'/.exec(message ?? '')?.[1];
    const known = Object.keys(options);
    const { hint } = mistyped === undefined ? {} : didYouMean(mistyped, known, FLAG_SYNONYMS);
    throw new UsageError(hint === undefined ? message : `${message} (${hint})`, { cause: error });
  }
  // Of two files the last one would win without a word.
  const { tokens } = parseArgs({ args: [...args], options, strict: false, tokens: true });
  const configs = tokens.filter((token) => token.kind === 'option' && token.name === 'config');
  if (configs.length > 1) throw new UsageError('--config is given twice; a config is one file');
  return parsed;
}

/** A whole number in a range. Throws `UsageError` that names the flag. */
export function wholeNumber(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    throw new UsageError(`${name} must be a whole number from ${least} to ${most}, not "${text}"`);
  }
  return value;
}

/** Runs a tool's body; a wrong command line is said on standard error and gives exit code 2. */
export async function withUsageErrors(
  tool: string,
  body: () => number | Promise<number>,
): Promise<number> {
  try {
    return await body();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`fairlead ${tool}: ${error.message}\n`);
    return 2;
  }
}
