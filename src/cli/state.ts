/** `fairlead state show|clear`: the changes made through the admin API that are laid over the config at every start. */
import { DEFAULT_POOL } from '../config/settings.ts';
import { countChanges, describeEntry } from '../control/operator-state.ts';
import { clearStateFile, readStateFile } from '../control/state-file.ts';
import { lockStateFile } from '../control/state-lock.ts';
import { type CommandSpec, HELP_FLAG, helpOf } from './command-spec.ts';
import { EXIT_FAILED, EXIT_FINE } from './exit.ts';
import { UsageError, withUsageErrors } from './tool-flags.ts';
import { withSettings } from './with-settings.ts';

export const STATE = {
  name: 'state',
  usage: 'show|clear [--config FILE]',
  about: `show    the changes made through the admin API that are kept in the config's state_file
clear   drop them: the next start uses the config as it stands. Not while a Fairlead runs with the file.`,
  flags: {
    ...HELP_FLAG,
  },
  takesSettings: true,
  words: ['show', 'clear'],
  examples: ['fairlead state show', 'fairlead state clear --config fairlead.yaml'],
} as const satisfies CommandSpec;

export function runState(args: readonly string[]): Promise<number> {
  return withUsageErrors('state', async () => {
    const [action, ...rest] = args;
    if (action === '--help' || action === '-h') {
      process.stdout.write(helpOf(STATE));
      return EXIT_FINE;
    }
    if (action !== 'show' && action !== 'clear') {
      throw new UsageError('say what to do: fairlead state show, or fairlead state clear');
    }
    return withSettings(rest, STATE, ({ settings: { stateFile } }) => {
      if (stateFile === undefined) {
        process.stdout.write('This config keeps no changes: it has no state_file.\n');
        return EXIT_FINE;
      }
      return action === 'show' ? show(stateFile) : clear(stateFile);
    });
  });
}

async function show(file: string): Promise<number> {
  const result = await readStateFile(file);
  if (result.kind === 'damaged') {
    process.stderr.write(`${file} is damaged: ${result.reason}\n`);
    return EXIT_FAILED;
  }
  const changes = result.kind === 'absent' ? 0 : countChanges(result.state);
  process.stdout.write(`${file}: ${changes} ${changes === 1 ? 'change' : 'changes'}\n`);
  if (result.kind === 'absent') return EXIT_FINE;
  for (const [name, { strategy, entries }] of result.state.pools) {
    const where = name === DEFAULT_POOL ? '' : `pool ${name}: `;
    if (strategy !== undefined) process.stdout.write(`${where}strategy ${strategy}\n`);
    for (const entry of entries.values()) {
      const what = describeEntry(entry);
      if (what !== '') process.stdout.write(`${where}${entry.url} ${what}\n`);
    }
  }
  const { faults } = result;
  for (const fault of faults) process.stderr.write(`not understood, and left out: ${fault}\n`);
  return faults.length === 0 ? EXIT_FINE : EXIT_FAILED;
}

/** A running instance would write its changes again with the next one. */
async function clear(file: string): Promise<number> {
  const lock = await lockStateFile(file);
  if (lock.kind === 'in-use') {
    process.stderr.write(
      `${file} is in use by a running Fairlead, which would write its changes again: nothing is cleared. Stop it first.\n`,
    );
    return EXIT_FAILED;
  }
  try {
    const hadChanges = await clearStateFile(file);
    process.stdout.write(
      hadChanges ? `${file}: cleared\n` : `${file}: there was nothing to clear\n`,
    );
    return EXIT_FINE;
  } finally {
    if (lock.kind === 'held') await lock.release();
  }
}
