/** `fairlead strategy`, `fairlead reload` and `fairlead reset`: what the running instance goes by. */

import { OVERRIDABLE } from '../../control/operator-words.ts';
import { describeReload } from '../../control/reload/reload.ts';
import { describeOverride, nameOverride, type Override } from '../../control/state/overrides.ts';
import { STRATEGY_NAMES } from '../../snapshot/snapshot.ts';
import type { CommandSpec } from '../command-spec.ts';
import { Progress } from '../terminal/progress.ts';
import { parseFlags, UsageError } from '../tool-flags.ts';
import type { AdminClient } from './admin-client.ts';
import {
  ADMIN_EXIT_CODES,
  ADMIN_FLAGS,
  CHANGE_FLAGS,
  changePath,
  noArguments,
  onlyArgument,
  runAdminCommand,
} from './admin-command.ts';
import { findBackend, folderOf, poolFor } from './admin-pools.ts';

export const STRATEGY = {
  name: 'strategy',
  usage: '[NAME] [--pool NAME] [options]',
  about: 'Changes the strategy of the running instance at once, or shows it.',
  flags: {
    ...CHANGE_FLAGS,
    pool: { ...CHANGE_FLAGS.pool, help: 'the pool whose strategy it is (default)' },
  },
  words: STRATEGY_NAMES,
  examples: ['fairlead strategy', 'fairlead strategy least-connections --pool api'],
  exitCodes: ADMIN_EXIT_CODES,
} as const satisfies CommandSpec;

export const RELOAD = {
  name: 'reload',
  usage: '[options]',
  about:
    'Makes the running instance read its config again. A config with problems changes nothing, and all of them are shown.',
  flags: ADMIN_FLAGS,
  examples: ['fairlead reload', 'fairlead check --config fairlead.yaml --diff && fairlead reload'],
  exitCodes: '0 fine, 1 refused or not reachable, 2 a bad config or argument.',
} as const satisfies CommandSpec;

export const UPGRADE = {
  name: 'upgrade',
  usage: '[options]',
  about: `Starts the program that is on the disk now, as the running instance was started: it takes over all of its sockets, and no client
notices. Returns when it is ready; the old process then finishes what it has and ends. If the new one does not get ready, the old
one goes on.`,
  flags: ADMIN_FLAGS,
  examples: ['fairlead upgrade', 'npm install -g fairlead && fairlead upgrade'],
  exitCodes: ADMIN_EXIT_CODES,
} as const satisfies CommandSpec;

/** It starts, checks its backends and listens: the old process waits for half a minute. */
const UPGRADE_MS = 45_000;

export const RESET = {
  name: 'reset',
  usage: '[strategy|weight|backup|ID|URL] [--pool NAME] [options]',
  about: `Drops what was set through the admin API otherwise than the config says: the config's value is in force at once. Without an
argument all such values; with one the strategy, the weights or the backup roles, or those of one backend. Backends that
were added, removed, drained or disabled stay so: see add, remove and enable.`,
  flags: {
    ...CHANGE_FLAGS,
    pool: { ...CHANGE_FLAGS.pool, help: 'only those of this pool (of all)' },
  },
  words: OVERRIDABLE,
  takesBackend: true,
  examples: ['fairlead reset', 'fairlead reset weight --pool api', 'fairlead reset 0'],
  exitCodes: ADMIN_EXIT_CODES,
} as const satisfies CommandSpec;

export function runStrategy(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, CHANGE_FLAGS);
  return runAdminCommand(STRATEGY, parse, async (client, { values, positionals }, show) => {
    const strategy = positionals.length === 0 ? undefined : onlyArgument(positionals, '');
    const pool = await poolFor(client, values.pool);
    const path = `${folderOf(pool)}/strategy`;
    const answer =
      strategy === undefined
        ? await client.callForObject('GET', path)
        : await client.callForObject('PUT', changePath(path, values), { strategy });
    const whose = pool === undefined ? '' : ` of pool ${pool}`;
    show(answer, `the strategy${whose} is ${String(answer['strategy'])}`);
  });
}

export function runReload(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, ADMIN_FLAGS);
  return runAdminCommand(RELOAD, parse, async (client, { values, positionals }, show) => {
    noArguments(positionals);
    const answer = await client.callForObject('POST', '/reload');
    const changed = (answer['changes'] ?? []) as readonly string[];
    const how = describeReload({ hasChanged: answer['changed'] === true, changed });
    const notes = (answer['notes'] ?? []) as readonly string[];
    // For people, as of `fairlead check`; machines have them in the answer.
    if (values.json !== true) for (const note of notes) process.stderr.write(`note: ${note}\n`);
    const overrides = (answer['overrides'] ?? []) as readonly Override[];
    const more = overrides.length === 0 ? [] : ['set otherwise (fairlead reset drops that):'];
    show(
      answer,
      [how, ...more, ...overrides.map((one) => `  ${describeOverride(one)}`)].join('\n'),
    );
  });
}

export function runUpgrade(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, ADMIN_FLAGS);
  return runAdminCommand(
    UPGRADE,
    parse,
    async (client, { positionals }, show) => {
      noArguments(positionals);
      const progress = new Progress();
      progress.follow((seconds) => `the new process starts, checks its backends: ${seconds} s`);
      const answered = client.callForObject('POST', '/upgrade');
      const answer = await answered.finally(() => progress.end());
      show(answer, `process ${String(answer['pid'])} has taken over`);
    },
    UPGRADE_MS,
  );
}

export function runReset(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, CHANGE_FLAGS);
  return runAdminCommand(RESET, parse, async (client, { values, positionals }, show) => {
    const { pool } = values;
    const query = new URLSearchParams(pool === undefined ? {} : { pool });
    if (positionals.length > 0) {
      const [name, value] = await chosen(client, onlyArgument(positionals, ''), pool);
      query.set(name, value);
    }
    const path = query.size === 0 ? '/overrides' : `/overrides?${query}`;
    const answer = await client.callForObject('DELETE', changePath(path, values));
    const dropped = answer['dropped'] as readonly Override[];
    const lines = dropped.map((one) => `${nameOverride(one)} is ${one.config}, as the config says`);
    show(answer, lines.length === 0 ? 'nothing was set otherwise' : lines.join('\n'));
  });
}

/** A parameter of the call: its name and value. */
async function chosen(
  client: AdminClient,
  which: string,
  pool: string | undefined,
): Promise<readonly [string, string]> {
  if (OVERRIDABLE.some((value) => value === which)) return ['value', which];
  if (!/[\d:]/.test(which)) {
    throw new UsageError(
      `"${which}" is no value that can be reset: ${OVERRIDABLE.join(', ')}, or the id or URL of a backend`,
    );
  }
  const { id } = await findBackend(client, which, pool);
  return ['backend', String(id)];
}
