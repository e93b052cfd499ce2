/** `fairlead drain` and `fairlead remove`: taking a backend out in order, and waiting until that is done. */
import { parseDuration } from '../../config/values/duration.ts';
import type { CommandSpec } from '../command-spec.ts';
import { EXIT_FAILED, EXIT_FINE } from '../exit.ts';
import { parseFlags, UsageError } from '../tool-flags.ts';
import type { AdminClient, JsonObject } from './admin-client.ts';
import {
  ADMIN_EXIT_CODES,
  BACKEND_FLAGS,
  changePath,
  onlyArgument,
  runAdminCommand,
  type Show,
} from './admin-command.ts';
import { findBackend, type ShownBackend } from './admin-pools.ts';
import { type DrainEnd, type DrainingBackend, followDrain } from './follow-drain.ts';

const WAYS = {
  'move-sessions': { type: 'boolean', help: 'sessions go to other backends at once' },
} as const;

export const DRAIN = {
  name: 'drain',
  usage: 'ID|URL [--deadline 30s] [--move-sessions] [--cut] [--wait] [options]',
  about: `Sends a backend no new clients: requests in flight finish, WebSockets are closed with 1001 "going away", spread over the time. Clients with
a session stay until the deadline, and go to another backend then.`,
  flags: {
    deadline: {
      type: 'string',
      value: 'TIME',
      help: 'after it, WebSockets that are left are cut (timeouts.drain)',
    },
    ...WAYS,
    cut: { type: 'boolean', help: 'after it, requests that are left are cut as well' },
    ...BACKEND_FLAGS,
    wait: {
      type: 'boolean',
      help: 'show how far it is, and return when nothing is in flight and nothing comes any more:\nwith 1 if the deadline had to cut something',
    },
  },
  takesBackend: true,
  examples: ['fairlead drain 0 --wait', 'fairlead drain http://:3001 --deadline 2m --cut --wait'],
  exitCodes: ADMIN_EXIT_CODES,
} as const satisfies CommandSpec;

export const REMOVE = {
  name: 'remove',
  usage: 'ID|URL [--drain 30s] [--move-sessions] [--cut] [--wait] [options]',
  about: 'Removes a backend. Requests in flight finish.',
  flags: {
    drain: {
      type: 'string',
      value: 'TIME',
      help: 'drain it first; it is removed when nothing is in flight, and after this time at the latest',
    },
    ...WAYS,
    cut: {
      type: 'boolean',
      help: 'what is in flight then is cut: an event stream, for example, ends only so',
    },
    ...BACKEND_FLAGS,
    wait: {
      type: 'boolean',
      help: 'drain it first, show how far it is, and return when it is removed: with 1 if something was cut',
    },
  },
  takesBackend: true,
  examples: ['fairlead remove 0', 'fairlead remove http://:3001 --drain 30s --wait'],
  exitCodes: ADMIN_EXIT_CODES,
} as const satisfies CommandSpec;

export function runDrain(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, DRAIN.flags);
  return runAdminCommand(DRAIN, parse, async (client, parsed, show) => {
    const { values, positionals } = parsed;
    const which = onlyArgument(positionals, 'Which backend? For example: fairlead drain 0');
    const query = changePath(queryOf('--deadline', values.deadline, values), values);
    const { path } = await findBackend(client, which, values.pool);
    const draining = await beginDrain(client, path, query);
    const name = nameOf(draining);
    if (values.wait === true) {
      const end = await followDrain(client, path, draining);
      return conclude(show, end.backend, mishapOf(end), `${name} is drained`);
    }
    show(draining, `${name} is draining: ${inFlight(draining.draining?.in_flight ?? 0)}`);
    return EXIT_FINE;
  });
}

export function runRemove(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, REMOVE.flags);
  return runAdminCommand(REMOVE, parse, async (client, parsed, show) => {
    const { values, positionals } = parsed;
    const which = onlyArgument(positionals, 'Which backend? For example: fairlead remove 0');
    const query = changePath(queryOf('--drain', values.drain, values), values);
    const { path } = await findBackend(client, which, values.pool);
    if (values.wait === true)
      return removeDrained(client, path, query, changePath('', values), show);
    const answer = (await client.callForObject('DELETE', path + query)) as DrainingBackend;
    const { draining } = answer;
    // Without a drain, or with one that takes no time, it is gone already.
    const how =
      draining === undefined
        ? 'removed'
        : `draining before its removal: ${inFlight(draining.in_flight)}`;
    show(answer, `${nameOf(answer)} is ${how}`);
    return EXIT_FINE;
  });
}

/**
 * In two steps, though the API has one for both: of a backend that is gone, nobody can say what its deadline had to cut.
 * Interrupted in between, it stays draining.
 */
async function removeDrained(
  client: AdminClient,
  path: string,
  query: string,
  removalQuery: string,
  show: Show,
): Promise<number> {
  const end = await followDrain(client, path, await beginDrain(client, path, query));
  const mishap = mishapOf(end);
  if (end.how === 'called-off' || end.how === 'removed') {
    return conclude(show, end.backend, mishap, '');
  }
  const removed = await client.callForObject('DELETE', path + removalQuery);
  const outcome = mishap === undefined ? undefined : `${mishap}; it is removed`;
  return conclude(show, removed, outcome, `${nameOf(end.backend)} is removed`);
}

async function beginDrain(
  client: AdminClient,
  path: string,
  query: string,
): Promise<DrainingBackend> {
  const body = { state: 'draining' };
  return (await client.callForObject('PATCH', path + query, body)) as DrainingBackend;
}

/** The time goes to the API as it was typed. Throws `UsageError`. */
function queryOf(
  flag: string,
  text: string | undefined,
  ways: { readonly 'move-sessions'?: boolean; readonly cut?: boolean },
): string {
  const query = new URLSearchParams();
  if (text !== undefined) {
    const duration = parseDuration(text);
    if (!duration.ok) {
      const hint = duration.hint === undefined ? '' : ` (${duration.hint})`;
      throw new UsageError(`${flag}: ${duration.reason}${hint}`);
    }
    query.set('drain', text);
  }
  if (ways['move-sessions'] === true) query.set('sessions', 'move');
  if (ways.cut === true) query.set('cut', 'true');
  return query.size === 0 ? '' : `?${query}`;
}

/** What did not go as it should; undefined: nothing. */
function mishapOf({ how, backend }: DrainEnd): string | undefined {
  const name = nameOf(backend);
  const { in_flight: left = 0, cut = 0, cut_requests: cutRequests = 0 } = backend.draining ?? {};
  const all = [
    ...(cut > 0 ? [counted(cut, 'WebSocket')] : []),
    ...(cutRequests > 0 ? [counted(cutRequests, 'request')] : []),
  ].join(' and ');
  switch (how) {
    case 'drained':
      return all === '' ? undefined : `${name} is drained, but the deadline cut ${all}`;
    case 'overdue': {
      const also = all === '' ? '' : `, and the deadline cut ${all}`;
      return `${name} is past its deadline with ${inFlight(left)}${also}`;
    }
    case 'removed':
      return `${name} was removed meanwhile`;
    case 'called-off':
      return `${name} is ${backend.state}: the drain was called off`;
  }
}

/** @returns the exit code. */
function conclude(
  show: Show,
  answer: JsonObject,
  mishap: string | undefined,
  text: string,
): number {
  if (mishap === undefined) {
    show(answer, text);
    return EXIT_FINE;
  }
  process.stderr.write(`error: ${mishap}\n`);
  return EXIT_FAILED;
}

function nameOf({ url, id }: ShownBackend): string {
  return `${url} (backend ${id})`;
}

function inFlight(count: number): string {
  return `${counted(count, 'request')} in flight`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
