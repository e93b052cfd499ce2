/** What a shell can complete: every command with its flags and the values of those, from what its `--help` is made of. */
import type { CommandSpec, Commands, FlagSpec } from '../command-spec.ts';
import { SETTING_FLAGS } from '../settings-flags.ts';

/** `free`: only the user knows it. */
export type Completion =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'file' | 'folder' | 'free' };

export interface CompletableFlag {
  readonly name: string;
  readonly short: string | undefined;
  readonly help: string;
  readonly isRepeatable: boolean;
  /** `none`: it is a switch. `by-equals`: `--name` alone is right as well. */
  readonly takes: 'none' | 'value' | 'by-equals';
  readonly placeholder: string;
  readonly value: Completion;
}

export interface Completable {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly CompletableFlag[];
  /** What its first argument may be. */
  readonly words: readonly string[];
  /** Its first argument may be one of the backends that run, which `fairlead completion backends` lists. */
  readonly takesBackend: boolean;
}

export function completables(commands: Commands): Promise<Completable[]> {
  return Promise.all(
    Object.entries(commands).map(async ([name, { summary, load }]) => {
      const { spec } = await load();
      const { words = [], takesBackend = false } = spec;
      return { name, summary, flags: flagsOf(spec), words, takesBackend };
    }),
  );
}

function flagsOf({ name, flags, takesSettings }: CommandSpec): CompletableFlag[] {
  const all: Record<string, Partial<FlagSpec> & { readonly help: string }> = {
    ...flags,
    ...(takesSettings === true && { ...SETTING_FLAGS, ...flags }),
    // Without a command there is one flag more.
    ...(name === 'run' && { version: { help: 'the version' } }),
  };
  return Object.entries(all).map(([flag, spec]) => ({
    name: flag,
    short: spec.short,
    help: spec.help.replaceAll('\n', ' '),
    isRepeatable: spec.multiple === true,
    takes:
      spec.value === undefined ? 'none' : spec.isValueOptional === true ? 'by-equals' : 'value',
    placeholder: spec.value ?? '',
    value: completionOf(spec),
  }));
}

function completionOf({ value, values }: Partial<FlagSpec>): Completion {
  if (values !== undefined) return { kind: 'words', words: values };
  if (value === 'FILE') return { kind: 'file' };
  return { kind: value === 'FOLDER' ? 'folder' : 'free' };
}
