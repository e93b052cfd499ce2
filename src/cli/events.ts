/** `fairlead events`: what happens in the running instance, as it happens, for as long as somebody wants to see it. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { EVENT_NAMES } from '../observe/event-names.ts';
import { prettyLine } from '../observe/pretty-line.ts';
import { type AdminClient, AdminError } from './admin/admin-client.ts';
import {
  ADMIN_EXIT_CODES,
  ADMIN_FLAGS,
  noArguments,
  runAdminCommand,
} from './admin/admin-command.ts';
import type { CommandSpec } from './command-spec.ts';
import { EXIT_FAILED } from './exit.ts';
import { EventReader, type ReadEvent } from './terminal/event-reader.ts';
import { parseFlags, UsageError } from './tool-flags.ts';

/** Something comes every ten seconds where all is well. */
const SILENCE_MS = 30_000;
const AGAIN_MS = 1_000;
const NO_ROOM = 503;

export const EVENTS = {
  name: 'events',
  usage: '[--type NAME] [--pool NAME] [--since ID] [options]',
  about: `Shows what happens in the running instance: backends that go down and come back, ejections, circuit breakers, reloads,
certificates, and what operators change, with who it was. Ends with Ctrl-C; a connection that is lost is made again, and
nothing is missing then, or it is said that it is.`,
  flags: {
    type: {
      type: 'string',
      multiple: true,
      value: 'NAME',
      values: EVENT_NAMES,
      help: "only these events: backend.down, or all of a kind ('breaker.*');\nseveral with commas, or once more",
    },
    pool: {
      type: 'string',
      multiple: true,
      value: 'NAME',
      help: 'only what is about this pool; several with commas, or once more',
    },
    since: {
      type: 'string',
      value: 'ID',
      help: 'begins after this event (event_id of --json); 0: with the oldest that is kept\n(without it: with what happens from now on)',
    },
    ...ADMIN_FLAGS,
  },
  examples: [
    'fairlead events --since 0',
    "fairlead events --type 'backend.*,breaker.*' --pool api",
    `fairlead events --json | jq 'select(.event == "backend.down")'`,
  ],
  exitCodes: ADMIN_EXIT_CODES,
} as const satisfies CommandSpec;

export function runEvents(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, EVENTS.flags);
  return runAdminCommand(EVENTS, parse, async (client, { values, positionals }) => {
    noArguments(positionals);
    const since = values.since === undefined ? undefined : idOf(values.since);
    const hasColours = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
    const show = values.json === true ? asJson : (event: ReadEvent) => asText(event, hasColours);
    const path = pathOf(values.type, values.pool);
    await follow(client, path, since, show);
  });
}

/** Never ends well. @throws AdminError where the first try fails, or a later one is refused. */
async function follow(
  client: AdminClient,
  path: string,
  since: number | undefined,
  show: (event: ReadEvent) => string,
): Promise<never> {
  let lastId = since;
  let isConnected = false;
  let isFirst = true;
  for (;;) {
    const reader = new EventReader();
    try {
      for await (const bytes of piecesOf(client, path, lastId)) {
        if (!isFirst && !isConnected) process.stderr.write('connected again\n');
        isConnected = true;
        isFirst = false;
        const text = reader.push(bytes).map(show).join('');
        lastId = reader.lastId ?? lastId;
        // A reader of ours that is slow makes us one.
        if (text !== '' && !process.stdout.write(text)) await once(process.stdout, 'drain');
      }
      if (isConnected)
        process.stderr.write('the instance has closed the connection; waiting for it\n');
    } catch (error) {
      const mayPass = !isFirst && error instanceof AdminError && isPassing(error);
      if (!mayPass) throw error;
      if (isConnected) process.stderr.write(`error: ${error.message}; trying again\n`);
    }
    isConnected = false;
    isFirst = false;
    await sleep(AGAIN_MS);
  }
}

function isPassing({ status }: AdminError): boolean {
  return status === 0 || status === NO_ROOM;
}

/** Ends with the connection, also one that nothing comes on any more. @throws AdminError */
async function* piecesOf(
  client: AdminClient,
  path: string,
  lastId: number | undefined,
): AsyncGenerator<Uint8Array> {
  const silence = new AbortController();
  const headers = lastId === undefined ? {} : { 'Last-Event-ID': String(lastId) };
  const body = await client.open(path, headers, silence.signal);
  let timer: NodeJS.Timeout | undefined;
  try {
    const again = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
    };
    again();
    for await (const bytes of body) {
      again();
      yield bytes;
    }
  } catch (error) {
    if (silence.signal.aborted) return;
    throw new AdminError('the connection to the admin API is lost', EXIT_FAILED, 0, error);
  } finally {
    clearTimeout(timer);
  }
}

function asJson({ id, data }: ReadEvent): string {
  return `${JSON.stringify({ event_id: id, ...(JSON.parse(data) as object) })}\n`;
}

function asText({ data }: ReadEvent, hasColours: boolean): string {
  return prettyLine(data, hasColours);
}

/** What there is to filter by is for the instance to say. */
function pathOf(types: readonly string[] = [], pools: readonly string[] = []): string {
  const query = new URLSearchParams();
  for (const type of types) query.append('type', type);
  for (const pool of pools) query.append('pool', pool);
  return query.size === 0 ? '/events' : `/events?${query}`;
}

/** Throws `UsageError`. */
function idOf(text: string): number {
  const id = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(id)) return id;
  throw new UsageError(`--since is the id of an event, or 0, not "${text}"`);
}
