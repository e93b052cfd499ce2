/** Completion for fish. */
import type { Completable, CompletableFlag, Completion } from './completable.ts';

/** The command is the first word, or there is none: a later word may have the name of one. */
const CURRENT_COMMAND = `function __fairlead_command
    set -l words (commandline -opc)
    if test (count $words) -gt 1; and contains -- $words[2] $__fairlead_commands
        echo $words[2]
    else
        echo run
    end
end

function __fairlead_is
    test (__fairlead_command) = $argv[1]
end

function __fairlead_at
    test (count (commandline -opc)) -eq $argv[1]
end

function __fairlead_backends
    set -l words (commandline -opc)
    $words[1] completion backends -- $words[2..] 2>/dev/null </dev/null
end
`;

export function fishScript(commands: readonly Completable[]): string {
  const names = commands.map(({ name }) => name);
  const first = commands.map(
    ({ name, summary }) =>
      `complete -c fairlead -n '__fairlead_at 1' -a ${name} -d ${quote(summary)}`,
  );
  return [
    '# Completion for fish, made by: fairlead completion fish',
    `set -g __fairlead_commands ${names.join(' ')}`,
    '',
    CURRENT_COMMAND,
    'complete -c fairlead -f',
    ...first,
    ...commands.flatMap(linesOf),
    '',
  ].join('\n');
}

function linesOf({ name, flags, words, takesBackend }: Completable): string[] {
  const own = `complete -c fairlead -n '__fairlead_is ${name}`;
  const backends = takesBackend ? [`${own}' -k -a '(__fairlead_backends)'`] : [];
  const argument =
    words.length === 0 ? [] : [`${own}; and __fairlead_at 2' -a ${quote(words.join(' '))}`];
  return [...argument, ...backends, ...flags.map((flag) => `${own}' ${optionOf(flag)}`)];
}

function optionOf({ name, short, help, takes, value }: CompletableFlag): string {
  const names = `${short === undefined ? '' : `-s ${short} `}-l ${name}`;
  const argument = takes === 'value' ? argumentOf(value) : '';
  return `${names}${argument} -d ${quote(help)}`;
}

function argumentOf(value: Completion): string {
  if (value.kind === 'words') return ` -x -a ${quote(value.words.join(' '))}`;
  if (value.kind === 'file') return ' -r -F';
  return value.kind === 'folder' ? " -x -a '(__fish_complete_directories)'" : ' -x';
}

function quote(text: string): string {
  return `'${text.replaceAll(/['\\]/g, '\\$&')}'`;
}
