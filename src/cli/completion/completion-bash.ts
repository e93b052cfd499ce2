/** Completion for bash 3.2 and later; nothing of the package bash-completion is needed. */
import type { Completable, CompletableFlag, Completion } from './completable.ts';

/**
 * Readline takes `--flag=value` for three words; an `=` that nothing follows yet is the last one.
 */
export function bashScript(commands: readonly Completable[]): string {
  const names = commands.map(({ name }) => name);
  return `# Completion for bash, made by: fairlead completion bash
# The words of the line are split anew: readline has split URLs at their colons.
_fairlead_backends() {
  local line=\${COMP_LINE:0:COMP_POINT}
  local -a before
  read -ra before <<< "\${line%"$2"}"
  "$1" completion backends -- "\${before[@]:1}" 2>/dev/null </dev/null | cut -f 1
}
_fairlead() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} equals= command=run first=1 flags= words= backends= value=
  COMPREPLY=()
  if [[ $cur == '=' ]]; then
    cur= equals==
  elif [[ $prev == '=' ]]; then
    prev=\${COMP_WORDS[COMP_CWORD-2]} equals==
  fi
  if (( COMP_CWORD > 1 )); then
    case \${COMP_WORDS[1]} in
      ${names.join('|')}) command=\${COMP_WORDS[1]} first=2 ;;
    esac
  fi
  case $command in
${commands.map(armOf).join('\n')}
  esac
  if (( first == 1 )); then words='${names.join(' ')} help'; fi
  if [[ $value == free ]]; then return; fi
  if [[ $value == file || $value == folder ]]; then
    local IFS=$'\\n' kind=-f
    if [[ $value == folder ]]; then kind=-d; fi
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen $kind -- "$cur"))
    return
  fi
  if [[ -z $value ]]; then
    if [[ $cur == -* ]]; then value=$flags
    else
      if (( COMP_CWORD == first )); then value=$words; fi
      if [[ -n $backends ]]; then value+=" $(_fairlead_backends "$1" "$cur")"; fi
    fi
  fi
  COMPREPLY=($(compgen -W "$value" -- "$cur"))
}
complete -F _fairlead fairlead
`;
}

function armOf({ name, flags, words, takesBackend }: Completable): string {
  const values = flags.filter(({ takes }) => takes !== 'none').map(valueOf);
  return [
    `    ${name})`,
    `      flags='${flags.map((flag) => `--${flag.name}`).join(' ')}' words='${words.join(' ')}'${takesBackend ? ' backends=yes' : ''}`,
    ...(values.length === 0
      ? []
      : ['      case $prev$equals in', ...values.map((line) => `        ${line}`), '      esac']),
    '      ;;',
  ].join('\n');
}

function valueOf({ name, short, takes, value }: CompletableFlag): string {
  const patterns = [
    `--${name}=`,
    ...(takes === 'value' ? [`--${name}`] : []),
    ...(short === undefined ? [] : [`-${short}`]),
  ];
  return `${patterns.join('|')}) value='${shown(value)}' ;;`;
}

function shown(value: Completion): string {
  return value.kind === 'words' ? value.words.join(' ') : value.kind;
}
