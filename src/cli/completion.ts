/** `fairlead completion bash|zsh|fish`: what makes a shell complete commands, flags, and those values that can be listed. */
import { type CommandSpec, type Commands, HELP_FLAG, helpOf } from './command-spec.ts';
import { completables } from './completion/completable.ts';
import { backendLines } from './completion/completion-backends.ts';
import { bashScript } from './completion/completion-bash.ts';
import { fishScript } from './completion/completion-fish.ts';
import { zshScript } from './completion/completion-zsh.ts';
import { EXIT_FINE } from './exit.ts';
import { parseFlags, UsageError, withUsageErrors } from './tool-flags.ts';

const SHELLS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;

export const COMPLETION = {
  name: 'completion',
  usage: 'bash|zsh|fish',
  about: `Prints what makes that shell complete the commands of Fairlead, their flags, and values such as strategies and files. It knows
the commands of this version: print it again after an update. Ids of backends are asked of the running instance, for a second at
most.`,
  flags: HELP_FLAG,
  words: Object.keys(SHELLS),
  examples: [
    'source <(fairlead completion bash)',
    'fairlead completion bash > ~/.local/share/bash-completion/completions/fairlead',
    'fairlead completion zsh > ~/.zfunc/_fairlead     # with fpath+=(~/.zfunc) before compinit in ~/.zshrc',
    'fairlead completion fish > ~/.config/fish/completions/fairlead.fish',
  ],
} as const satisfies CommandSpec;

export function runCompletion(args: readonly string[], commands: Commands): Promise<number> {
  return withUsageErrors('completion', async () => {
    const { values, positionals } = parseFlags(args, COMPLETION.flags);
    if (values.help === true) {
      process.stdout.write(helpOf(COMPLETION));
      return EXIT_FINE;
    }
    const [shell = '', ...more] = positionals;
    // What those scripts call.
    if (shell === 'backends') {
      process.stdout.write(await backendLines(more, commands));
      return EXIT_FINE;
    }
    if (more.length > 0) throw new UsageError(`Unexpected argument "${more[0]}"`);
    if (!Object.hasOwn(SHELLS, shell)) {
      const what = shell === '' ? 'say for which shell' : `"${shell}" is not one of its shells`;
      throw new UsageError(`${what}: fairlead completion bash, zsh or fish`);
    }
    const script = SHELLS[shell as keyof typeof SHELLS];
    process.stdout.write(script(await completables(commands)));
    return EXIT_FINE;
  });
}
