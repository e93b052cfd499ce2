/** `fairlead state show|clear`: the changes made through the admin API that are laid over the config at every start. */
import { DEFAULT_POOL } from '../config/settings.ts';
import {
  countChanges,
  describeEntry,
  isChange,
  NO_OPERATOR_STATE,
  type PoolChanges,
} from '../control/state/operator-state.ts';
import { clearStateFile, readStateFile } from '../control/state/state-file.ts';
import { lockStateFile } from '../control/state/state-lock.ts';
import { type CommandSpec, HELP_FLAG, helpOf } from './command-spec.ts';
import { EXIT_FAILED, EXIT_FINE } from './exit.ts';
import { writeJson } from './json-output.ts';
import { UsageError, withUsageErrors } from './tool-flags.ts';
import { withSettings } from './with-settings.ts';

export const STATE = {
  name: 'state',
  usage: 'show|clear [--config FILE]',
  about: `show    the changes made through the admin API that are kept in the config's state_file
clear   drop them: the next start uses the config as it stands. Not while a Fairlead runs with the file.`,
  flags: {
    json: {
      type: 'boolean',
      help: 'as JSON: show { file, changes, pools, faults }, clear { file, cleared }',
    },
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
    return withSettings(rest, STATE, ({ settings: { stateFile } }, switches) => {
      const write = switches.has('json') ? writeJson : writeText;
      const run = action === 'show' ? show : clear;
      return stateFile === undefined ? keepsNothing(action, write) : run(stateFile, write);
    });
  });
}

/** To standard output: for machines, or the lines for people. */
type Write = (answer: object, lines: readonly string[]) => void;

const writeText: Write = (_answer, lines) => {
  process.stdout.write(`${lines.join('\n')}\n`);
};

function keepsNothing(action: 'show' | 'clear', write: Write): number {
  const answer =
    action === 'show'
      ? { file: null, changes: 0, pools: [], faults: [] }
      : { file: null, cleared: false };
  write(answer, ['This config keeps no changes: it has no state_file.']);
  return EXIT_FINE;
}

async function show(file: string, write: Write): Promise<number> {
  const result = await readStateFile(file);
  if (result.kind === 'damaged') {
    process.stderr.write(`${file} is damaged: ${result.reason}\n`);
    return EXIT_FAILED;
  }
  if (result.kind === 'unreadable') {
    process.stderr.write(`${file} can't be read: ${result.reason}\n`);
    return EXIT_FAILED;
  }
  const state = result.kind === 'absent' ? NO_OPERATOR_STATE : result.state;
  const faults = result.kind === 'absent' ? [] : result.faults;
  const changes = countChanges(state);
  const pools = [...state.pools].map(([name, pool]) => shownPool(name, pool));
  write({ file, changes, pools: pools.filter(isChanged), faults }, [
    `${file}: ${changes} ${changes === 1 ? 'change' : 'changes'}`,
    ...[...state.pools].flatMap(([name, pool]) => linesOf(name, pool)),
  ]);
  for (const fault of faults) process.stderr.write(`not understood, and left out: ${fault}\n`);
  return faults.length === 0 ? EXIT_FINE : EXIT_FAILED;
}

function linesOf(name: string, { strategy, entries }: PoolChanges): string[] {
  const where = name === DEFAULT_POOL ? '' : `pool ${name}: `;
  const lines = strategy === undefined ? [] : [`${where}strategy ${strategy}`];
  for (const entry of entries.values()) {
    const what = describeEntry(entry);
    if (what !== '') lines.push(`${where}${entry.url} ${what}`);
  }
  return lines;
}

/** As in `--json`: null is what no change was made to. */
interface ShownChanges {
  readonly name: string;
  readonly strategy: string | null;
  readonly backends: readonly object[];
}

function shownPool(name: string, { strategy, entries }: PoolChanges): ShownChanges {
  const changed = [...entries.values()].filter(isChange);
  return {
    name,
    strategy: strategy ?? null,
    backends: changed.map(({ url, id, source, isRemoved, weight, isBackup, state }) => ({
      url,
      id: id ?? null,
      added: source === 'api',
      removed: isRemoved,
      weight: weight ?? null,
      backup: isBackup ?? null,
      state: state ?? null,
    })),
  };
}

function isChanged({ strategy, backends }: ShownChanges): boolean {
  return strategy !== null || backends.length > 0;
}

/** A running instance would write its changes again with the next one. */
async function clear(file: string, write: Write): Promise<number> {
  const lock = await lockStateFile(file);
  if (lock.kind === 'in-use') {
    process.stderr.write(
      `${file} is in use by a running Fairlead, which would write its changes again: nothing is cleared. Stop it first.\n`,
    );
    return EXIT_FAILED;
  }
  try {
    const cleared = await clearStateFile(file);
    const what = cleared ? 'cleared' : 'there was nothing to clear';
    write({ file, cleared }, [`${file}: ${what}`]);
    return EXIT_FINE;
  } catch (error) {
    process.stderr.write(`${file} can't be cleared: ${(error as Error).message}\n`);
    return EXIT_FAILED;
  } finally {
    if (lock.kind === 'held') await lock.release();
  }
}
