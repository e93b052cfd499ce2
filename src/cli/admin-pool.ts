/** `fairlead strategy`, `fairlead reload` and `fairlead reset`: what the running instance goes by. */
import {
  describeOverride,
  nameOverride,
  OVERRIDABLE,
  type Override,
} from '../control/overrides.ts';
import { describeReload } from '../control/reload.ts';
import type { AdminClient } from './admin-client.ts';
import {
  ADMIN_FLAGS,
  CHANGE_FLAGS,
  changePath,
  NOT_KEPT_HELP,
  noArguments,
  onlyArgument,
  runAdminCommand,
} from './admin-command.ts';
import { findBackend, folderOf, poolFor } from './admin-pools.ts';
import { parseFlags, UsageError } from './tool-flags.ts';

const STRATEGY_USAGE = `Usage: fairlead strategy [NAME] [--pool NAME] [options]

Changes the strategy of the running instance at once, or shows it.

  --pool NAME      the pool whose strategy it is (default)
${NOT_KEPT_HELP}`;

const RELOAD_USAGE = `Usage: fairlead reload [options]

Makes the running instance read its config again. A config with problems changes nothing, and all of them are shown.
`;

const UPGRADE_USAGE = `Usage: fairlead upgrade [options]

Starts the program that is on the disk now, as the running instance was started: it takes over all of its sockets, and no client
notices. Returns when it is ready; the old process then finishes what it has and ends. If the new one does not get ready, the old
one goes on.
`;

/** It starts, checks its backends and listens: the old process waits for half a minute. */
const UPGRADE_MS = 45_000;

const RESET_USAGE = `Usage: fairlead reset [strategy|weight|backup|ID|URL] [--pool NAME] [options]

Drops what was set through the admin API otherwise than the config says: the config's value is in force at once. Without an
argument all such values; with one the strategy, the weights or the backup roles, or those of one backend. Backends that
were added, removed, drained or disabled stay so: see add, remove and enable.

  --pool NAME      only those of this pool (of all)
${NOT_KEPT_HELP}`;

export function runStrategy(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, CHANGE_FLAGS);
  return runAdminCommand(
    'strategy',
    STRATEGY_USAGE,
    parse,
    async (client, { values, positionals }, show) => {
      const strategy = positionals.length === 0 ? undefined : onlyArgument(positionals, '');
      const pool = await poolFor(client, values.pool);
      const path = `${folderOf(pool)}/strategy`;
      const answer =
        strategy === undefined
          ? await client.callForObject('GET', path)
          : await client.callForObject('PUT', changePath(path, values), { strategy });
      const whose = pool === undefined ? '' : ` of pool ${pool}`;
      show(answer, `the strategy${whose} is ${String(answer['strategy'])}`);
    },
  );
}

export function runReload(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, ADMIN_FLAGS);
  return runAdminCommand(
    'reload',
    RELOAD_USAGE,
    parse,
    async (client, { values, positionals }, show) => {
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
    },
  );
}

export function runUpgrade(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, ADMIN_FLAGS);
  return runAdminCommand(
    'upgrade',
    UPGRADE_USAGE,
    parse,
    async (client, { positionals }, show) => {
      noArguments(positionals);
      const answer = await client.callForObject('POST', '/upgrade');
      show(answer, `process ${String(answer['pid'])} has taken over`);
    },
    UPGRADE_MS,
  );
}

export function runReset(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, CHANGE_FLAGS);
  return runAdminCommand(
    'reset',
    RESET_USAGE,
    parse,
    async (client, { values, positionals }, show) => {
      const { pool } = values;
      const query = new URLSearchParams(pool === undefined ? {} : { pool });
      if (positionals.length > 0) {
        const [name, value] = await chosen(client, onlyArgument(positionals, ''), pool);
        query.set(name, value);
      }
      const path = query.size === 0 ? '/overrides' : `/overrides?${query}`;
      const answer = await client.callForObject('DELETE', changePath(path, values));
      const dropped = answer['dropped'] as readonly Override[];
      const lines = dropped.map(
        (one) => `${nameOverride(one)} is ${one.config}, as the config says`,
      );
      show(answer, lines.length === 0 ? 'nothing was set otherwise' : lines.join('\n'));
    },
  );
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
