/** `fairlead add|enable|disable|weight`: which backends the running instance has, and what they count for. */
import { MAX_WEIGHT } from '../../config/settings.ts';
import type { CommandSpec } from '../command-spec.ts';
import { parseFlags, UsageError, wholeNumber } from '../tool-flags.ts';
import {
  ADMIN_EXIT_CODES,
  BACKEND_FLAGS,
  CHANGE_FLAGS,
  changePath,
  onlyArgument,
  runAdminCommand,
} from './admin-command.ts';
import { findBackend, folderOf, poolFor, type ShownBackend } from './admin-pools.ts';

export const ADD = {
  name: 'add',
  usage: 'URL [--pool NAME] [--weight N] [--backup] [options]',
  about:
    'Adds a backend to the running instance. It gets requests as soon as its first check has passed.',
  flags: {
    weight: {
      type: 'string',
      value: 'N',
      help: 'its share beside the weights of the others (1)',
    },
    backup: { type: 'boolean', help: 'used only while no other backend can be' },
    ...CHANGE_FLAGS,
    pool: { ...CHANGE_FLAGS.pool, help: 'the pool that it is for (default)' },
  },
  examples: [
    'fairlead add http://:3001',
    'fairlead add http://10.0.0.7:3000 --pool api --weight 3',
  ],
  exitCodes: ADMIN_EXIT_CODES,
} as const satisfies CommandSpec;

export const WEIGHT = {
  name: 'weight',
  usage: 'ID|URL N [options]',
  about: 'Sets the weight of a backend: its share beside the weights of the others.',
  flags: BACKEND_FLAGS,
  takesBackend: true,
  examples: ['fairlead weight 0 3', 'fairlead weight http://:3001 0'],
  exitCodes: ADMIN_EXIT_CODES,
} as const satisfies CommandSpec;

export const ENABLE = {
  name: 'enable',
  usage: 'ID|URL [options]',
  about:
    'Puts a backend back that was drained or disabled; a drain or a removal under way is called off.',
  flags: BACKEND_FLAGS,
  takesBackend: true,
  examples: ['fairlead enable 0', 'fairlead enable http://:3001 --pool api'],
  exitCodes: ADMIN_EXIT_CODES,
} as const satisfies CommandSpec;

export const DISABLE = {
  name: 'disable',
  usage: 'ID|URL [options]',
  about:
    'Takes a backend out until it is enabled again: no new requests; those in flight finish, WebSockets stay.',
  flags: BACKEND_FLAGS,
  takesBackend: true,
  examples: ['fairlead disable 0', 'fairlead disable http://:3001 --not-kept'],
  exitCodes: ADMIN_EXIT_CODES,
} as const satisfies CommandSpec;

export function runAdd(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, ADD.flags);
  return runAdminCommand(ADD, parse, async (client, parsed, show) => {
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
  const parse = () => parseFlags(args, BACKEND_FLAGS);
  return runAdminCommand(WEIGHT, parse, async (client, parsed, show) => {
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
  return setState(ENABLE, 'enabled', args);
}

export function runDisable(args: readonly string[]): Promise<number> {
  return setState(DISABLE, 'disabled', args);
}

function setState(
  spec: typeof ENABLE | typeof DISABLE,
  state: string,
  args: readonly string[],
): Promise<number> {
  const parse = () => parseFlags(args, BACKEND_FLAGS);
  return runAdminCommand(spec, parse, async (client, parsed, show) => {
    const { values, positionals } = parsed;
    const which = onlyArgument(positionals, `Which backend? For example: fairlead ${spec.name} 0`);
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
