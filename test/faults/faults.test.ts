/**
 * What the client sees when the first backend that gets its request fails in a certain way while another one is well.
 *
 * The rules (protocol.md "Retries", RFC 9110 §9.2.2): not sent yet, any method goes elsewhere; sent and nothing answered,
 * idempotent methods only, and only while all of the body is at hand; once a byte of an answer came, never: a client
 * that had the head is reset, any other gets a 502.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type Connection,
  leftover,
  NOTHING,
  type Script,
  silent,
  startProxy,
} from '../behaviour/stage.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { okResponse } from '../support/raw-backend.ts';
import { outcomeOf, REQUEST_NAMES, type RequestName } from './requests.ts';
import { readBody, serve, type TwoBackends, twoBackends } from './two-backends.ts';

/** Each test tells its story alone: no budget that earlier ones have used up, and nobody is taken out for them. */
const ALONE = { retries: { budget_percent: 100 }, outlier_detection: false };
const IMPATIENT = { ...ALONE, timeouts: { response: '300ms', idle: '400ms' } };

const PART_OF_A_HEAD = 'HTTP/1.1 200 OK\r\nX-Ha';
const INTERIM = 'HTTP/1.1 103 Early Hints\r\n\r\n';
const PART_OF_A_BODY = 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf';
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
const ONE_CHUNK = `${CHUNKED}4\r\nhalf\r\n`;

/** The proxy of the running test. */
let fairlead: Fairlead;

/**
 * The proxy has read what was written to it: a reset overtakes what the other end has not read. Its one data thread has
 * served a whole request since.
 */
async function hasRead(): Promise<void> {
  expect(await outcomeOf(fairlead.port, '/other', 'GET')).toBe('200 with "ok"');
}

/** Reads the whole request, sends `bytes`, and lets them arrive before `end`. */
function after(bytes: string, end: (connection: Connection) => void | Promise<void>): Script {
  return async (connection, head) => {
    await readBody(connection, head);
    if (bytes !== '') {
      await connection.write(bytes);
      await hasRead();
    }
    await end(connection);
  };
}

const reset = (connection: Connection): void => connection.reset();
const close = (connection: Connection): void => connection.end();

/** One byte at a time. */
async function drip(connection: Connection, head: string): Promise<void> {
  const length = await readBody(connection, head);
  for (const byte of okResponse(`got ${length}`, ['Connection: close'])) {
    await connection.write(byte);
    await sleep(2);
  }
  connection.end();
}

async function resetAfterAll(connection: Connection, head: string): Promise<void> {
  await serve(connection, head);
  connection.reset();
}

/** The right answer, with `lie` for its head or body. */
function lying(lie: (response: string) => string): Script {
  return async (connection, head) => {
    const length = await readBody(connection, head);
    await connection.write(lie(okResponse(`got ${length}`)));
    connection.end();
  };
}

function withField(field: string): (response: string) => string {
  return (response) => response.replace('\r\n\r\n', `\r\n${field}\r\n\r\n`);
}

/** What the client sees, and how many attempts the backends saw. */
type Outcome = readonly [seen: string, attempts: number];
const SAVED: Outcome = ['200 whole', 2];
const WHOLE: Outcome = ['200 whole', 1];
const CUT: Outcome = ['200 cut', 1];
const LOST: Outcome = ['502 connection_terminated', 1];
const BAD: Outcome = ['502 http_protocol_error', 1];
const LATE: Outcome = ['504 http_response_timeout', 1];

/** In the order of REQUEST_NAMES: GET, small PUT, small POST, PUT and POST over the replay buffer. */
type Row = readonly [Outcome, Outcome, Outcome, Outcome, Outcome];
/** Of every request the same becomes. */
const all = (outcome: Outcome): Row => [outcome, outcome, outcome, outcome, outcome];
/** Sent, and not a byte of an answer came. */
const IF_IDEMPOTENT_AND_AT_HAND: Row = [SAVED, SAVED, LOST, LOST, LOST];

type Table = readonly (readonly [fault: string, script: Script, row: Row])[];

// biome-ignore format: a table
const TABLE: Table = [
  ['resets before its head',                after('', reset),                                                  IF_IDEMPOTENT_AND_AT_HAND],
  ['closes before its head',                after('', close),                                                  IF_IDEMPOTENT_AND_AT_HAND],
  ['resets in the middle of its head',      after(PART_OF_A_HEAD, reset),                                      all(LOST)],
  ['closes in the middle of its head',      after(PART_OF_A_HEAD, close),                                      all(LOST)],
  ['resets after an interim response',      after(INTERIM, reset),                                             all(LOST)],
  ['resets in the middle of a body',        after(PART_OF_A_BODY, reset),                                      all(CUT)],
  ['closes in the middle of a body',        after(PART_OF_A_BODY, close),                                      all(CUT)],
  ['resets between two chunks',             after(ONE_CHUNK, reset),                                           all(CUT)],
  ['closes between two chunks',             after(ONE_CHUNK, close),                                           all(CUT)],
  ['closes in the middle of a chunk',       after(`${CHUNKED}9\r\nhalf`, close),                               all(CUT)],
  ['resets after its response',             resetAfterAll,                                                     all(WHOLE)],
  ['answers a byte at a time',              drip,                                                              all(WHOLE)],
  ['announces more than it sends',          lying((text) => text.replace(/h: \d+/, 'h: 99')),                  all(CUT)],
  ['sends more than it announces',          lying((text) => `${text}HTTP/1.1 200 OK\r\n\r\n`),                 all(WHOLE)],
  ['announces two lengths',                 lying(withField('Content-Length: 1')),                             all(BAD)],
  ['announces a length and chunks',         lying(withField('Transfer-Encoding: chunked')),                    all(BAD)],
  ['begins with a chunk of no length',      lying(() => `${CHUNKED}nonsense\r\n`),                    all(BAD)],
  ['goes on with a chunk of no length',     after(ONE_CHUNK, (backend) => backend.write('nonsense\r\n')),      all(CUT)],
  ['speaks no HTTP',                        lying(() => 'SSH-2.0-OpenSSH_9.9\r\n\r\n'),                      all(BAD)],
];

// biome-ignore format: a table
const SILENT: Table = [
  ['never answers',                         silent,                                                            all(LATE)],
  ['stops in the middle of a body',         after(PART_OF_A_BODY, silent),                                     all(CUT)],
];

function cases(table: Table) {
  return table.flatMap(([fault, script, row]) =>
    REQUEST_NAMES.map((request, column) => {
      const [seen, attempts] = row[column] as Outcome;
      return { fault, request, script, seen, attempts };
    }),
  );
}

describe.each([
  { what: 'a backend that', config: ALONE, table: TABLE },
  { what: 'a backend that, within its time,', config: IMPATIENT, table: SILENT },
])('$what', ({ config, table }) => {
  let backends: TwoBackends;
  beforeAll(async () => {
    backends = await twoBackends();
    fairlead = await startProxy(backends.urls, config);
  });

  test.each(cases(table))(
    '$fault, $request: $seen',
    async ({ fault, request, script, seen, attempts }) => {
      const path = `/${fault} ${request}`.replaceAll(' ', '-');
      backends.failOnce(path, script);
      expect(await outcomeOf(fairlead.port, path, request)).toBe(seen);
      expect(backends.attempts(path)).toBe(attempts);
    },
  );

  test('does any of this leaves nothing behind', async () => {
    expect(backends.errors()).toEqual([]);
    expect(await leftover(fairlead)).toEqual(NOTHING);
    expect(fairlead.logs().filter(({ event }) => event === 'data_thread.died')).toEqual([]);
  });
});

describe('a backend that never answers, with a limit for each attempt,', () => {
  const OUTCOMES: Record<RequestName, Outcome> = {
    GET: SAVED,
    'small PUT': SAVED,
    'small POST': LATE,
    'PUT over the replay buffer': LATE,
    'POST over the replay buffer': LATE,
  };

  test('costs an idempotent request that time', async () => {
    const backends = await twoBackends();
    const retries = { budget_percent: 100, per_try_timeout: '400ms' };
    const config = { ...ALONE, retries, timeouts: { response: '3s' } };
    fairlead = await startProxy(backends.urls, config);
    for (const request of REQUEST_NAMES) {
      const path = `/limited ${request}`.replaceAll(' ', '-');
      backends.failOnce(path, silent);
      const seen = await outcomeOf(fairlead.port, path, request);
      expect([request, seen, backends.attempts(path)]).toEqual([request, ...OUTCOMES[request]]);
    }
    expect(await leftover(fairlead)).toEqual(NOTHING);
  });
});

/** The connection stays after the first answer: only the next request meets the end of it. */
describe('an idle connection that its backend closes when it is used again', () => {
  test.each([
    ['GET', SAVED],
    ['small PUT', SAVED],
    ['small POST', LOST],
    ['PUT over the replay buffer', LOST],
    ['POST over the replay buffer', LOST],
  ] as const)('%s: %j', async (request, [seen, attempts]) => {
    const backends = await twoBackends();
    // One of them only: its fresh connection is what saves the request.
    const [url = ''] = backends.urls;
    fairlead = await startProxy([url], ALONE);
    backends.failOnce('/first', async (connection, head) => {
      await connection.write(okResponse(`got ${await readBody(connection, head)}`));
    });
    backends.failOnce('/next', after('', reset));
    expect(await outcomeOf(fairlead.port, '/first', 'GET')).toBe('200 whole');
    expect(await outcomeOf(fairlead.port, '/next', request)).toBe(seen);
    expect(backends.attempts('/next')).toBe(attempts);
    expect(await leftover(fairlead)).toEqual(NOTHING);
  });
});
