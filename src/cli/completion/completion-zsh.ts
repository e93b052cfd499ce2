/** Completion for zsh, for `compinit`. */
import type { Completable, CompletableFlag, Completion } from './completable.ts';

export function zshScript(commands: readonly Completable[]): string {
  const names = commands.map(({ name }) => name);
  const described = commands.map(
    ({ name, summary }) => `    ${quote(`${name}:${summary.replaceAll(':', '\\:')}`)}`,
  );
  return `#compdef fairlead
# Completion for zsh, made by: fairlead completion zsh
_fairlead_backends() {
  local id what
  local -a found=("$@")
  while IFS=$'\\t' read -r id what; do
    found+=("$id:\${what//:/\\\\:}")
  done < <($fairlead completion backends -- "\${(@Q)words[1,CURRENT-1]}" 2>/dev/null </dev/null)
  _describe -V backend found
}
_fairlead() {
  local command=run fairlead=\${(Q)words[1]}
  local -a commands=(
${described.join('\n')}
  )
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
    _describe command commands
    return
  fi
  case $words[2] in
    ${names.join('|')})
      command=$words[2]
      shift words
      (( CURRENT-- ))
      ;;
  esac
  case $command in
${commands.map(armOf).join('\n')}
  esac
}
if [[ $funcstack[1] == _fairlead ]]; then
  _fairlead "$@"
else
  compdef _fairlead fairlead
fi
`;
}

function armOf({ name, flags, words, takesBackend }: Completable): string {
  const listed = words.length === 0 ? '' : `(${words.join(' ')})`;
  // With the space, it is called with these words and nothing else.
  const first = takesBackend ? ` _fairlead_backends ${words.join(' ')}`.trimEnd() : listed;
  const rest = first === '' ? "'*: :'" : `'1: :${first}' '*: :'`;
  const specs = [...flags.map(specOf), rest].map((spec) => `        ${spec}`);
  return `    ${name})\n      _arguments -s \\\n${specs.join(' \\\n')}\n      ;;`;
}

function specOf({
  name,
  short,
  help,
  isRepeatable,
  takes,
  placeholder,
  value,
}: CompletableFlag): string {
  const equals = takes === 'none' ? '' : takes === 'value' ? '=' : '=-';
  const colon = takes === 'by-equals' ? '::' : ':';
  const message = placeholder.replaceAll(':', '\\:');
  const argument = takes === 'none' ? '' : `${colon}${message}:${actionOf(value)}`;
  const rest = quote(`[${help.replaceAll(/[[\]\\:]/g, '\\$&')}]${argument}`);
  const times = isRepeatable ? "'*'" : '';
  if (short === undefined) return `${times}--${name}${equals}${rest}`;
  const shortEquals = takes === 'none' ? '' : '+';
  const others = isRepeatable ? times : `'(-${short} --${name})'`;
  return `${others}{-${short}${shortEquals},--${name}${equals}}${rest}`;
}

function actionOf(value: Completion): string {
  if (value.kind === 'words') return `(${value.words.join(' ')})`;
  if (value.kind === 'file') return '_files';
  return value.kind === 'folder' ? '_files -/' : '';
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
