/** `fairlead add|enable|disable|weight`: which backends the running instance has, and what they count for. */
import { MAX_WEIGHT } from '../config/settings.ts';
import {
  CHANGE_FLAGS,
  changePath,
  FIND_HELP,
  NOT_KEPT_HELP,
  onlyArgument,
  runAdminCommand,
} from './admin-command.ts';
import { findBackend, folderOf, poolFor, type ShownBackend } from './admin-pools.ts';
import { parseFlags, UsageError, wholeNumber } from './tool-flags.ts';

const ADD_USAGE = `Usage: fairlead add URL [--pool NAME] [--weight N] [--backup] [options]

Adds a backend to the running instance. It gets requests as soon as its first check has passed.

  --pool NAME      the pool that it is for (default)
  --weight N       its share beside the weights of the others (1)
  --backup         used only while no other backend can be
${NOT_KEPT_HELP}`;

const WEIGHT_USAGE = `Usage: fairlead weight ID|URL N [options]

Sets the weight of a backend: its share beside the weights of the others.

${FIND_HELP}${NOT_KEPT_HELP}`;

const ENABLE_USAGE = `Usage: fairlead enable ID|URL [options]

Puts a backend back that was drained or disabled; a drain or a removal under way is called off.

${FIND_HELP}${NOT_KEPT_HELP}`;

const DISABLE_USAGE = `Usage: fairlead disable ID|URL [options]

Takes a backend out until it is enabled again: no new requests; those in flight finish, WebSockets stay.

${FIND_HELP}${NOT_KEPT_HELP}`;

export function runAdd(args: readonly string[]): Promise<number> {
  const parse = () =>
    parseFlags(args, {
      ...CHANGE_FLAGS,
      weight: { type: 'string' },
      backup: { type: 'boolean' },
    });
  return runAdminCommand('add', ADD_USAGE, parse, async (client, parsed, show) => {
    const { values, positionals } = parsed;
    const url = onlyArgument(positionals, 'Which URL? For example: fairlead add http://:3001');
    const backend = {
      url,
      ...(values.weight !== undefined && { weight: weightOf('--weight', values.weight) }),
      ...(values.backup === true && { backup: true }),
    };
    const pool = await poolFor(client, values.pool);
    const path = changePath(`${folderOf(pool)}/backends`, values);
    const added = (await client.callForObject('POST', path, backend)) as ShownBackend;
    const where = pool === undefined ? '' : ` of pool ${pool}`;
    show(added, `${added.url} is backend ${added.id}${where}, ${added.health}`);
  });
}

export function runWeight(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, CHANGE_FLAGS);
  return runAdminCommand('weight', WEIGHT_USAGE, parse, async (client, parsed, show) => {
    const { values, positionals } = parsed;
    const [which, text, ...extra] = positionals;
    if (which === undefined || text === undefined) {
      throw new UsageError('Which backend, and what weight? For example: fairlead weight 0 3');
    }
    if (extra.length > 0) throw new UsageError(`Unexpected argument "${extra[0]}"`);
    const weight = weightOf('The weight', text);
    const { path } = await findBackend(client, which, values.pool);
    const changed = (await client.callForObject('PATCH', changePath(path, values), {
      weight,
    })) as ShownBackend;
    show(changed, `${changed.url} (backend ${changed.id}) has weight ${changed.weight}`);
  });
}

export function runEnable(args: readonly string[]): Promise<number> {
  return setState('enable', 'enabled', ENABLE_USAGE, args);
}

export function runDisable(args: readonly string[]): Promise<number> {
  return setState('disable', 'disabled', DISABLE_USAGE, args);
}

function setState(
  name: string,
  state: string,
  usage: string,
  args: readonly string[],
): Promise<number> {
  const parse = () => parseFlags(args, CHANGE_FLAGS);
  return runAdminCommand(name, usage, parse, async (client, parsed, show) => {
    const { values, positionals } = parsed;
    const which = onlyArgument(positionals, `Which backend? For example: fairlead ${name} 0`);
    const { path } = await findBackend(client, which, values.pool);
    const changed = (await client.callForObject('PATCH', changePath(path, values), {
      state,
    })) as ShownBackend;
    const { id, url, alive, health } = changed;
    const more = state === 'enabled' && !alive ? `, but ${health}` : '';
    show(changed, `${url} (backend ${id}) is ${state}${more}`);
  });
}

function weightOf(name: string, text: string): number {
  return wholeNumber(name, text, 0, MAX_WEIGHT);
}
