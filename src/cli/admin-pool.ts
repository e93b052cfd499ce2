/** `fairlead strategy`, `fairlead reload` and `fairlead reset`: what the running instance goes by. */
import { describeOverride, OVERRIDABLE, type Override } from '../control/overrides.ts';
import { describeReload } from '../control/reload.ts';
import type { AdminClient } from './admin-client.ts';
import {
  ADMIN_FLAGS,
  CHANGE_FLAGS,
  changePath,
  findBackend,
  NOT_KEPT_HELP,
  noArguments,
  onlyArgument,
  runAdminCommand,
} from './admin-command.ts';
import { parseFlags, UsageError } from './tool-flags.ts';

const STRATEGY_USAGE = `Usage: fairlead strategy [NAME] [options]

Changes the strategy of the running instance at once, or shows it.

${NOT_KEPT_HELP}`;

const RELOAD_USAGE = `Usage: fairlead reload [options]

Makes the running instance read its config again. A config with problems changes nothing, and all of them are shown.
`;

const RESET_USAGE = `Usage: fairlead reset [strategy|weight|backup|ID|URL] [options]

Drops what was set through the admin API otherwise than the config says: the config's value is in force at once. Without an
argument all such values; with one the strategy, the weights or the backup roles, or those of one backend. Backends that
were added, removed, drained or disabled stay so: see add, remove and enable.

${NOT_KEPT_HELP}`;

export function runStrategy(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, CHANGE_FLAGS);
  return runAdminCommand(
    'strategy',
    STRATEGY_USAGE,
    parse,
    async (client, { values, positionals }, show) => {
      const answer =
        positionals.length === 0
          ? await client.callForObject('GET', '/strategy')
          : await client.callForObject('PUT', changePath('/strategy', values), {
              strategy: onlyArgument(positionals, ''),
            });
      show(answer, `the strategy is ${String(answer['strategy'])}`);
    },
  );
}

export function runReload(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, ADMIN_FLAGS);
  return runAdminCommand('reload', RELOAD_USAGE, parse, async (client, { positionals }, show) => {
    noArguments(positionals);
    const answer = await client.callForObject('POST', '/reload');
    const changed = (answer['changes'] ?? []) as readonly string[];
    const how = describeReload({ hasChanged: answer['changed'] === true, changed });
    const overrides = (answer['overrides'] ?? []) as readonly Override[];
    const more = overrides.length === 0 ? [] : ['set otherwise (fairlead reset drops that):'];
    show(
      answer,
      [how, ...more, ...overrides.map((one) => `  ${describeOverride(one)}`)].join('\n'),
    );
  });
}

export function runReset(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, CHANGE_FLAGS);
  return runAdminCommand(
    'reset',
    RESET_USAGE,
    parse,
    async (client, { values, positionals }, show) => {
      const query =
        positionals.length === 0 ? '' : await chosen(client, onlyArgument(positionals, ''));
      const answer = await client.callForObject('DELETE', changePath(`/overrides${query}`, values));
      const dropped = answer['dropped'] as readonly Override[];
      const lines = dropped.map(({ value, backend, config }) => {
        const of = backend === null ? '' : ` of ${backend}`;
        return `${value}${of} is ${config}, as the config says`;
      });
      show(answer, lines.length === 0 ? 'nothing was set otherwise' : lines.join('\n'));
    },
  );
}

async function chosen(client: AdminClient, which: string): Promise<string> {
  if (OVERRIDABLE.some((value) => value === which)) return `?value=${which}`;
  if (!/[\d:]/.test(which)) {
    throw new UsageError(
      `"${which}" is no value that can be reset: ${OVERRIDABLE.join(', ')}, or the id or URL of a backend`,
    );
  }
  const { id } = await findBackend(client, which);
  return `?backend=${id}`;
}
