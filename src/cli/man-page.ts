/** fairlead(1), from what `--help` is made of. `npm run build` writes it. */
import { VERSION } from '../control/version.ts';
import { type CommandSpec, type Commands, EXIT_CODES, ORDER, shownFlag } from './command-spec.ts';
import { SETTING_FLAGS } from './settings-flags.ts';

export async function manPage(commands: Commands): Promise<string> {
  const all = await Promise.all(
    Object.values(commands).map(async ({ load, isOfInstance }) => {
      const { spec } = await load();
      return { spec, isOfInstance: isOfInstance === true };
    }),
  );
  const describe = (isOfInstance: boolean): string[] =>
    all
      .filter((one) => one.isOfInstance === isOfInstance)
      .flatMap(({ spec }) => commandLines(spec));
  const lines = [
    '.\\" Made by: npm run build',
    `.TH FAIRLEAD 1 "" "Fairlead ${VERSION}" "User Commands"`,
    '.SH NAME',
    'fairlead \\- load-balancing HTTP reverse proxy',
    '.SH SYNOPSIS',
    '.B fairlead',
    text('[URL…] [options]'),
    '.br',
    '.B fairlead',
    text('COMMAND [options]'),
    '.SH DESCRIPTION',
    text(
      'Without a command, the proxy runs in the foreground; URLs are its backends (http://:3001 means localhost:3001).',
    ),
    '.PP',
    text(`Order of values: ${ORDER}`),
    '.SH OPTIONS',
    text('What sets something, for the proxy and for each command that looks at a config.'),
    ...flagLines(SETTING_FLAGS),
    ...flagLines({ help: { help: 'what there is' }, version: { help: 'the version' } }),
    '.SH COMMANDS',
    ...describe(false),
    '.SH COMMANDS OF A RUNNING INSTANCE',
    text('They ask its admin API.'),
    ...describe(true),
    '.SH EXIT STATUS',
    text(EXIT_CODES),
    '.SH FILES',
    '.TP',
    bold('fairlead.config.{ts,mts,js,mjs,json,yaml,yml}'),
    text('in the working folder: the config that is read without --config.'),
  ];
  return `${lines.join('\n')}\n`;
}

function commandLines({
  name,
  usage,
  about,
  flags,
  takesSettings,
  examples,
  exitCodes,
}: CommandSpec): string[] {
  return [
    `.SS fairlead ${text(`${name} ${usage}`.trim())}`,
    // Some are written in columns.
    ...about
      .trim()
      .split('\n')
      .flatMap((line) => [text(line), '.br']),
    ...flagLines(flags),
    ...(takesSettings === true
      ? ['.PP', text('And the options of fairlead itself, as far as they are not named here.')]
      : []),
    '.PP',
    'Examples:',
    '.PP',
    '.EX',
    ...examples.map((line) => text(`    ${line}`)),
    '.EE',
    ...(exitCodes === undefined ? [] : ['.PP', text(`Exit codes: ${exitCodes}`)]),
  ];
}

function flagLines(flags: Readonly<Record<string, ShownFlag>>): string[] {
  return Object.entries(flags).flatMap(([name, flag]) => [
    '.TP',
    bold(shownFlag(name, flag)),
    text(flag.help.replaceAll('\n', ' ')),
  ]);
}

type ShownFlag = Parameters<typeof shownFlag>[1] & { readonly help: string };

function bold(line: string): string {
  return `.B ${text(line).replaceAll('"', '\\(dq')}`;
}

/** One line of text: nothing in it is a request of roff or an escape. */
function text(line: string): string {
  const plain = line.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll("'", '\\(aq');
  return /^[.\s]/.test(plain) ? `\\&${plain}` : plain;
}
