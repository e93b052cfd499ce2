/**
 * Backends that answer garbage (protocol.md): 502 while nothing has been sent, a reset once something has; never a
 * response that looks complete and is not. The backend's connection is closed and never used again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Fairlead } from '../support/fairlead.ts';
import { type RawBackend, rawBackend } from '../support/raw-backend.ts';
import { type RawClient, rawClient } from '../support/raw-client.ts';
import { SOON_MS, waitFor } from '../support/wait-for.ts';
import { everySplit, inParallel, type Seen, sendParts } from './split-send.ts';
import { leftover, metrics, NOTHING, startProxy } from './stage.ts';

type Connection = RawBackend['connections'][number];
type Script = (connection: Connection) => void | Promise<void>;

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** By path: what the backend does with a request. Everything else is answered 200 `ok`. */
const scripts = new Map<string, Script>();
/** The paths that were asked for, by connection, in order. */
const served = new Map<Connection, string[]>();
let backend: RawBackend;
let fairlead: Fairlead;
let paths = 0;

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

beforeAll(async () => {
  backend = await rawBackend(async (connection) => {
    const asked: string[] = [];
    served.set(connection, asked);
    for (;;) {
      let head: string;
      try {
        head = await connection.readHead(600_000);
      } catch {
        connection.end();
        return;
      }
      const path = head.split(' ', 2)[1] ?? '';
      asked.push(path);
      const script = scripts.get(path);
      if (script === undefined) await connection.write(OK);
      else await script(connection);
    }
  });
  fairlead = await startProxy([backend.url], {
    limits: { request_line: 512, head: 2048, fields: 10 },
    access_log: false,
  });
});

/** A path that only this script answers. */
function pathFor(script: Script): string {
  const path = `/${paths++}`;
  scripts.set(path, script);
  return path;
}

function writing(...parts: readonly (string | Buffer)[]): Script {
  return async (connection) => {
    for (const [index, part] of parts.entries()) {
      // The proxy reads the first part by itself.
      if (index > 0) await sleep(2);
      await connection.write(part);
    }
  };
}

/** `HTTP/1.1` and `Connection: close`, so that the client's connection ends with the answer. */
function get(path: string, { method = 'GET', minor = 1 } = {}): string {
  return `${method} ${path} HTTP/1.${minor}\r\nHost: a\r\nConnection: close\r\n\r\n`;
}

async function ask(path: string, shape: { method?: string; minor?: number } = {}): Promise<Seen> {
  return sendParts(fairlead.port, [latin1(get(path, shape))]);
}

/**
 * Waits until the proxy has closed every connection that carried `path`. There is one, or two where a dead connection of
 * the pool was replaced by a fresh one; nothing was asked on them afterwards.
 */
async function carriersClosed(path: string): Promise<void> {
  const carriers = [...served].filter(([, asked]) => asked.includes(path));
  expect([1, 2]).toContain(carriers.length);
  for (const [connection, asked] of carriers) {
    await waitFor(() => connection.isEnded, SOON_MS, `the end of the connection of ${path}`);
    expect(asked.at(-1)).toBe(path);
  }
}

function statusOf(text: string): string {
  return /^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1] ?? JSON.stringify(text);
}

function count(kinds: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of kinds) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

function describeRefusal({ text, end }: Seen): string {
  const error = /\r\nProxy-Status: fairlead; error=(\w+)\r\n/.exec(text)?.[1] ?? 'no Proxy-Status';
  const heads = text.match(/HTTP\/1\.1 \d{3} /g)?.length ?? 0;
  return `${statusOf(text)} ${error}, ${heads} answer, ${end}`;
}

/** Whatever a test has done: nothing of it is left, and the proxy still serves. */
async function expectNoTrace(): Promise<void> {
  expect(await leftover(fairlead)).toEqual(NOTHING);
  expect((await ask('/fine')).text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
}

afterEach(expectNoTrace);

const PROTOCOL = '502 http_protocol_error, 1 answer, end';

function response(...fields: readonly string[]): string {
  return ['HTTP/1.1 200 OK', ...fields, '', ''].join('\r\n');
}

const BAD_HEADS: readonly (readonly [name: string, text: string])[] = [
  ['no HTTP at all', '<html><body>hello</body></html>\r\n\r\n'],
  ['SSH', 'SSH-2.0-OpenSSH_9.2p1\r\n'],
  ['a TLS alert', '\x15\x03\x03\0\x02\x02\x46'],
  ['an empty line first', `\r\n${OK}`],
  ['status 099', OK.replace('200', '099')],
  ['status 000', OK.replace('200', '000')],
  ['a status of two digits', OK.replace('200', '20')],
  ['a status of four digits', OK.replace('200', '2000')],
  ['a status that is no number', OK.replace('200', '2x0')],
  ['no status', OK.replace(' 200 OK', '')],
  ['HTTP/2.0', OK.replace('1.1', '2.0')],
  ['HTTP/0.9', OK.replace('1.1', '0.9')],
  ['ICY', OK.replace('HTTP/1.1', 'ICY')],
  ['two Content-Lengths that differ', `${response('Content-Length: 2', 'Content-Length: 20')}ok`],
  ...['2, 2', '+2', '-2', '0x2', '2 2', 'two', '', '9007199254740992'].map(
    (value) => [`Content-Length: ${value}`, `${response(`Content-Length: ${value}`)}ok`] as const,
  ),
  ...['xchunked', 'gzip, chunked', 'chunked, identity', 'identity', '\x0bchunked', ''].map(
    (value) =>
      [
        `Transfer-Encoding: ${value}`,
        `${response(`Transfer-Encoding: ${value}`)}2\r\nok\r\n0\r\n\r\n`,
      ] as const,
  ),
  [
    'two Transfer-Encodings',
    `${response('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
  ],
  [
    'Transfer-Encoding and Content-Length',
    `${response('Transfer-Encoding: chunked', 'Content-Length: 5')}0\r\n\r\n`,
  ],
  [
    'Content-Length and Transfer-Encoding',
    `${response('Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
  ],
  [
    'Transfer-Encoding in HTTP/1.0',
    `${response('Transfer-Encoding: chunked').replace('1.1', '1.0')}0\r\n\r\n`,
  ],
  ['NUL in the reason', OK.replace('OK', 'O\0K')],
  ['NUL in a value', `${response('A: \0', 'Content-Length: 2')}ok`],
  ['NUL in a name', `${response('A\0: 1', 'Content-Length: 2')}ok`],
  ['a bare CR in a value', `${response('A: 1\r2', 'Content-Length: 2')}ok`],
  ['a bare LF after the status line', OK.replace('\r\n', '\n')],
  ['a bare LF after a field', OK.replace('2\r\n', '2\n')],
  ['bare LFs everywhere', OK.replaceAll('\r\n', '\n')],
  ['a bare LF in place of the empty line', OK.replace('2\r\n\r\n', '2\r\n\n')],
  ['obs-fold', `${response('A: 1', ' 2', 'Content-Length: 2')}ok`],
  ['a space before the colon', `${response('Content-Length : 2')}ok`],
  ['a space before the first field', `${response(' Content-Length: 2')}ok`],
  ['an empty name', `${response(': 1', 'Content-Length: 2')}ok`],
  ['a line without a colon', `${response('A', 'Content-Length: 2')}ok`],
  ['garbage after an interim response', 'HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 2OO OK\r\n\r\n'],
  ['a Content-Length that is none in a 304', 'HTTP/1.1 304 x\r\nContent-Length: x\r\n\r\n'],
];

describe('a head that is garbage: 502, whole or split at any byte', () => {
  test.each(BAD_HEADS)('%s', async (_name, text) => {
    const ways = everySplit(latin1(text)).map((parts) => pathFor(writing(...parts)));
    const seen = await inParallel(ways, (path) => ask(path));
    const answers = seen.map(({ text: all, end }) => ({
      // An interim response may have gone ahead; what matters is what follows.
      text: all.replace(/^HTTP\/1\.1 103 [^]*?\r\n\r\n/, ''),
      end,
    }));
    expect(count(answers.map(describeRefusal))).toEqual({ [PROTOCOL]: ways.length });
    for (const path of ways) await carriersClosed(path);
  });

  test.each([
    ['a field without an end', response(`A: ${'a'.repeat(3000)}`)],
    ['a reason without an end', `HTTP/1.1 200 ${'a'.repeat(3000)}`],
    ['too many fields', `${response(...Array.from({ length: 11 }, () => 'A: 1'))}`],
  ])('too large: %s', async (_name, text) => {
    const cuts = [1, 20, 100, 1000, 2046, 2047, 2048, 2049].filter((cut) => cut < text.length);
    const ways = [[text], ...cuts.map((cut) => [text.slice(0, cut), text.slice(cut)])];
    const asked = ways.map((parts) => pathFor(writing(...parts)));
    const seen = await inParallel(asked, (path) => ask(path));
    const expected = '502 http_response_header_section_size, 1 answer, end';
    expect(count(seen.map(describeRefusal))).toEqual({ [expected]: asked.length });
    for (const path of asked) await carriersClosed(path);
  });

  test('the client of a 502 may go on with its connection', async () => {
    const path = pathFor(writing('garbage\r\n\r\n'));
    const client = await rawClient(fairlead.port);
    await client.write(
      `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\nGET /fine HTTP/1.1\r\nHost: a\r\n\r\n`,
    );
    expect((await client.readResponse()).status).toBe(502);
    expect((await client.readResponse()).body.toString()).toBe('ok');
    client.end();
    await carriersClosed(path);
  });
});

/** A backend that closes, in one of two ways. */
const ENDINGS: readonly (readonly [name: string, end: (connection: Connection) => void])[] = [
  ['FIN', (connection) => connection.end()],
  ['RST', (connection) => connection.reset()],
];

describe.each(ENDINGS)('a backend that ends with %s', (_name, end) => {
  test('before any byte: 502', async () => {
    const path = pathFor((connection) => end(connection));
    expect(describeRefusal(await ask(path))).toBe('502 connection_terminated, 1 answer, end');
    await carriersClosed(path);
  });

  test('anywhere in the head: 502', async () => {
    const head = latin1(response('Content-Length: 2'));
    const asked = Array.from({ length: head.length - 1 }, (_, index) =>
      pathFor(async (connection) => {
        await connection.write(head.subarray(0, index + 1));
        await sleep(2);
        end(connection);
      }),
    );
    const seen = await inParallel(asked, (path) => ask(path));
    expect(count(seen.map(describeRefusal))).toEqual({
      '502 connection_terminated, 1 answer, end': asked.length,
    });
    for (const path of asked) await carriersClosed(path);
  });

  const CUT: readonly (readonly [name: string, head: string, body: string])[] = [
    ['right after the head', response('Content-Length: 5'), ''],
    ['in a body with a length', response('Content-Length: 5'), 'hell'],
    ['before the first chunk', response('Transfer-Encoding: chunked'), ''],
    ['in a chunk size', response('Transfer-Encoding: chunked'), '5\r\nhello\r\n1'],
    ['in a chunk', response('Transfer-Encoding: chunked'), '5\r\nhell'],
    ['between two chunks', response('Transfer-Encoding: chunked'), '5\r\nhello\r\n'],
    ['after the last chunk', response('Transfer-Encoding: chunked'), '5\r\nhello\r\n0\r\n'],
    ['in a trailer', response('Transfer-Encoding: chunked'), '5\r\nhello\r\n0\r\nA: 1\r\n'],
  ];
  describe.each(CUT)('%s', (_where, head, body) => {
    test.each([1, 0])('resets the connection of an HTTP/1.%i client', async (minor) => {
      const client = await rawClient(fairlead.port);
      const path = pathFor(async (connection) => {
        await connection.write(head + body);
        // Only when the client has what there is can the end be no surprise.
        await waitFor(() => client.text.includes('\r\n\r\n'));
        end(connection);
      });
      await client.write(get(path, { minor }));
      expect(await client.closed).toBe('ECONNRESET');
      expect(statusOf(client.text)).toBe('200');
      expect(client.text).not.toMatch(/\r\n0\r\n/);
      await carriersClosed(path);
    });
  });
});

/** Asks for a body that lasts until the connection ends, and ends it. */
async function askUntilClose(
  end: (connection: Connection) => void,
  minor: number,
): Promise<RawClient> {
  const client = await rawClient(fairlead.port);
  const path = pathFor(async (connection) => {
    await connection.write(`${response('Connection: close')}hello`);
    await waitFor(() => client.text.includes('hello'));
    end(connection);
  });
  await client.write(get(path, { minor }));
  await client.closed;
  await carriersClosed(path);
  return client;
}

test('a length that is said twice is passed on once', async () => {
  const twice = response('Content-Length: 2', 'A: 1', 'Content-Length: 2');
  const path = pathFor((connection) => connection.write(`${twice}ok`));
  const client = await rawClient(fairlead.port);
  await client.write(get(path));
  const { status, body } = await client.readResponse();
  expect([status, String(body)]).toEqual([200, 'ok']);
  expect(client.text.match(/content-length/gi)).toHaveLength(1);
});

describe('a body that ends with the connection', () => {
  test.each([1, 0])('is complete with a FIN, for an HTTP/1.%i client', async (minor) => {
    const client = await askUntilClose((connection) => connection.end(), minor);
    expect(await client.closed).toBe('end');
    expect(
      client.text.endsWith(minor === 1 ? '\r\n5\r\nhello\r\n0\r\n\r\n' : '\r\n\r\nhello'),
    ).toBe(true);
  });

  test.each([1, 0])('is cut short by a RST, for an HTTP/1.%i client', async (minor) => {
    const client = await askUntilClose((connection) => connection.reset(), minor);
    expect(await client.closed).toBe('ECONNRESET');
    expect(client.text).not.toMatch(/\r\n0\r\n/);
  });
});

const BAD_CHUNKS: readonly (readonly [name: string, text: string])[] = [
  ['no size', '\r\nhello\r\n'],
  ['a signed size', '+5\r\nhello\r\n'],
  ['a size with 0x', '0x5\r\nhello\r\n'],
  ['a space after the size', '5 \r\nhello\r\n'],
  ['a size over 2^53', '20000000000000\r\n'],
  ['a size that ends with LF', '5\nhello\r\n'],
  ['an extension that ends with LF', '5;a\nhello\r\n'],
  ['data that is longer than its size', '5\r\nhello!\r\n'],
  ['data that ends with LF', '5\r\nhello\n0\r\n\r\n'],
  ['a body that ends with LF', '5\r\nhello\r\n0\r\n\n'],
  ['a bad trailer', '5\r\nhello\r\n0\r\nA : 1\r\n\r\n'],
];

describe('a malformed chunk', () => {
  const HEAD = response('Transfer-Encoding: chunked');

  test.each(BAD_CHUNKS)('in the first read is a 502: %s', async (_name, text) => {
    const path = pathFor(writing(HEAD + text));
    expect(describeRefusal(await ask(path))).toBe(PROTOCOL);
    await carriersClosed(path);
  });

  test.each(BAD_CHUNKS)('later is a reset: %s', async (_name, text) => {
    const client = await rawClient(fairlead.port);
    const path = pathFor(async (connection) => {
      await connection.write(`${HEAD}3\r\nabc\r\n`);
      await waitFor(() => client.text.endsWith('\r\n3\r\nabc\r\n'));
      await connection.write(text);
    });
    await client.write(get(path));
    expect(await client.closed).toBe('ECONNRESET');
    expect(client.text).not.toMatch(/\r\n0\r\n/);
    await carriersClosed(path);
  });

  test.each(BAD_CHUNKS)('never looks complete, wherever it is split: %s', async (_name, text) => {
    const bytes = latin1(`${HEAD}${text}`);
    const asked = everySplit(bytes).map((parts) => pathFor(writing(...parts)));
    const seen = await inParallel(asked, (path) => ask(path));
    const kinds = seen.map((one) => {
      const isReset = one.end === 'ECONNRESET' && !/\r\n0\r\n/.test(one.text);
      return isReset ? 'reset' : describeRefusal(one);
    });
    const { reset = 0, [PROTOCOL]: refused = 0, ...others } = count(kinds);
    expect(others).toEqual({});
    expect(reset + refused).toBe(asked.length);
    for (const path of asked) await carriersClosed(path);
  });
});

describe('what was not asked for', () => {
  test.each([
    [
      'websocket',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
    ],
    ['h2c', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n'],
    ['nothing', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ])('a 101 to %s is a 502', async (_name, text) => {
    const asked = everySplit(latin1(text)).map((parts) => pathFor(writing(...parts)));
    const seen = await inParallel(asked, (path) => ask(path));
    expect(count(seen.map(describeRefusal))).toEqual({
      '502 http_upgrade_failed, 1 answer, end': asked.length,
    });
    for (const path of asked) await carriersClosed(path);
  });

  test.each([
    ['another protocol', 'Upgrade: h2c\r\n'],
    ['no protocol', ''],
  ])('a 101 to %s, to a WebSocket handshake, is a 502', async (_name, field) => {
    const head = `HTTP/1.1 101 Switching Protocols\r\n${field}Connection: Upgrade\r\n\r\n`;
    const path = pathFor(writing(head));
    const handshake = `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\r\n`;
    const seen = await sendParts(fairlead.port, [latin1(handshake)]);
    expect(describeRefusal(seen)).toBe('502 http_upgrade_failed, 1 answer, end');
    await carriersClosed(path);
  });

  const COMPLETE: readonly (readonly [name: string, method: string, text: string, body: string])[] =
    [
      ['a body with a length', 'GET', OK, 'ok'],
      [
        'chunks',
        'GET',
        `${response('Transfer-Encoding: chunked')}2\r\nok\r\n0\r\n\r\n`,
        '2\r\nok\r\n0\r\n\r\n',
      ],
      ['an empty body', 'GET', response('Content-Length: 0'), ''],
      ['a 204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n', ''],
      ['a 304', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n', ''],
      ['the head of a HEAD', 'HEAD', response('Content-Length: 9'), ''],
    ];
  test.each(COMPLETE)('bytes after %s belong to nobody', async (_name, method, text, body) => {
    const stray = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison';
    const together = pathFor(writing(`${text}${stray}`));
    const later = pathFor(async (connection) => {
      await connection.write(text);
      await sleep(20);
      await connection.write(stray);
    });
    for (const path of [together, later]) {
      const seen = await ask(path, { method });
      expect(seen.end).toBe('end');
      expect(seen.text.slice(seen.text.indexOf('\r\n\r\n') + 4)).toBe(body);
      await carriersClosed(path);
    }
  });

  test('32 interim responses are relayed, the 33rd ends it', async () => {
    const interim = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n';
    const fine = await ask(pathFor(writing(`${interim.repeat(32)}${OK}`)));
    expect(fine.text.match(/HTTP\/1\.1 103/g)?.length).toBe(32);
    expect(fine.text.endsWith('\r\n\r\nok')).toBe(true);
    const path = pathFor(writing(`${interim.repeat(33)}${OK}`));
    const seen = await ask(path);
    expect(seen.text.match(/HTTP\/1\.1 103/g)?.length).toBe(32);
    expect(seen.text).toMatch(/\r\n\r\nHTTP\/1\.1 502 /);
    expect(seen.text).not.toContain('200 OK');
    await carriersClosed(path);
  });
});

test('the gauges of /metrics end at 0', async () => {
  expect(await leftover(fairlead)).toEqual(NOTHING);
  const samples = await metrics(fairlead);
  const inFlight = [...samples].filter(([name]) =>
    name.startsWith('fairlead_backend_requests_in_flight'),
  );
  expect(inFlight.map(([, value]) => value)).toEqual([0]);
  expect(samples.get('fairlead_client_connections')).toBe(0);
});
