/**
 * What a command is called with: read by the parser of its flags, and shown by `--help`, the man page and the completions of
 * shells. So none of them can know a flag that the others don't.
 */

import { describeSettingFlags } from './settings-flags.ts';
import type { HeldSignals } from './terminal/held-signals.ts';

export interface FlagSpec {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly multiple?: true;
  /** What stands for its value in the help. `FILE` and `FOLDER` are completed as such. */
  readonly value?: string;
  /** With `=` only: the flag may be given without its value. */
  readonly isValueOptional?: true;
  /** Those that can be listed. */
  readonly values?: readonly string[];
  readonly help: string;
}

export interface CommandSpec {
  readonly name: string;
  /** What follows the name. */
  readonly usage: string;
  /** Whole lines. */
  readonly about: string;
  /** In the order of the help. */
  readonly flags: Readonly<Record<string, FlagSpec>>;
  /** It takes the flags that set something as well, as `fairlead` itself does. */
  readonly takesSettings?: true;
  /** What its first argument may be, where that can be listed. */
  readonly words?: readonly string[];
  /** Its first argument is a backend of the running instance. */
  readonly takesBackend?: true;
  /** Each begins with `fairlead`, or leads to it. */
  readonly examples: readonly string[];
  readonly exitCodes?: string;
}

export interface Command {
  readonly spec: CommandSpec;
  readonly run: (args: string[], held: HeldSignals) => Promise<number>;
}

export interface ListedCommand {
  /** With its arguments, as in the list. */
  readonly shown: string;
  readonly summary: string;
  /** It asks a running instance through its admin API. */
  readonly isOfInstance?: true;
  readonly load: () => Promise<Command>;
}

export type Commands = Readonly<Record<string, ListedCommand>>;

export const HELP_FLAG = {
  help: { type: 'boolean', short: 'h', help: 'this text' },
} as const satisfies CommandSpec['flags'];

/** Of all commands, where one does not say more. */
export const EXIT_CODES =
  '0 fine, 1 failed while running, 2 bad config or arguments, 3 address in use.';
/** Which value counts. */
export const ORDER =
  'defaults < config file < environment (FAIRLEAD_PORT, TARGET_BACKEND_URLS, …) < flags.';

/** Where the help of a flag begins, at most, and where it does beside flags that set something. */
const WIDEST = 30;

export function helpOf(spec: CommandSpec): string {
  const { name, usage, about, flags, takesSettings, examples, exitCodes } = spec;
  const parts = [
    `Usage: fairlead ${usage === '' ? name : `${name} ${usage}`}`,
    about.trim(),
    takesSettings === true
      ? describeFlags(flags, WIDEST) + describeSettingFlags(flags)
      : describeFlags(flags),
    `Examples:\n${examples.map((line) => `  ${line}`).join('\n')}`,
    ...(exitCodes === undefined ? [] : [`Exit codes: ${exitCodes}`]),
  ];
  return `${parts.map((part) => part.trimEnd()).join('\n\n')}\n`;
}

interface ShownFlag {
  readonly short?: string;
  readonly value?: string;
  readonly isValueOptional?: boolean;
}

/** `--access-log[=FILE]`, `-n, --requests N`. */
export function shownFlag(name: string, { short, value, isValueOptional }: ShownFlag): string {
  const shown = value === undefined ? '' : isValueOptional === true ? `[=${value}]` : ` ${value}`;
  return `${short === undefined ? '' : `-${short}, `}--${name}${shown}`;
}

/** One line per flag; a help of several lines goes on below its own beginning. */
function describeFlags(flags: CommandSpec['flags'], least = 0): string {
  const shown = Object.entries(flags).map(([name, flag]) => [shownFlag(name, flag), flag.help]);
  const longest = Math.max(...shown.map(([left = '']) => left.length));
  const width = Math.max(least, Math.min(longest, WIDEST));
  const lines = shown.map(([left = '', help = '']) => {
    const below = `\n${' '.repeat(width + 4)}`;
    return `  ${left.padEnd(width)}  ${help.replaceAll('\n', below)}\n`;
  });
  return lines.join('');
}
