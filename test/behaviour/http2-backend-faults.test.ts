/** What servers of HTTP/2 that behave never send: whom it costs what, and that it costs nobody else anything. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Fairlead } from '../support/fairlead.ts';
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  GOAWAY,
  HEADERS,
  PING,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  uint32,
  WINDOW_UPDATE,
} from '../support/http2-frames.ts';
import { rawClient } from '../support/raw-client.ts';
import {
  block,
  headers,
  ok,
  type RawHttp2Backend,
  type RawHttp2Connection,
  rawHttp2Backend,
  settings,
} from '../support/raw-http2-backend.ts';
import { awaitedLater, waitFor } from '../support/wait-for.ts';
import { get, leftover, metrics, NOTHING, startProxy } from './stage.ts';

const OK = [[':status', '200']] as const;
const PROTOCOL_ERROR = 1;
const FLOW_CONTROL_ERROR = 3;
const REFUSED_STREAM = 7;
const ENHANCE_YOUR_CALM = 11;

type Make = (id: number) => Uint8Array;

type Script = (connection: RawHttp2Connection, index: number) => void | Promise<void>;

/** One Fairlead for all tests of the file, in front of a server whose script changes. */
class Setting {
  script: Script = () => {};
  readonly fairlead: Fairlead;
  readonly backend: RawHttp2Backend;

  constructor(fairlead: Fairlead, backend: RawHttp2Backend) {
    this.fairlead = fairlead;
    this.backend = backend;
  }

  /** The connection that Fairlead has is not used again. */
  async fresh(script: Script): Promise<void> {
    for (const { raw } of this.backend.connections) raw.socket.destroy();
    const { fairlead } = this;
    await waitFor(async () => {
      const page = await (await fetch(`${fairlead.adminUrl}/metrics`)).text();
      return !/^fairlead_backend_connections\{.*\} [1-9]/m.test(page);
    });
    this.script = script;
  }

  /** Of a GET, as `status code`; or how the connection ended in the middle of an answer. */
  async ask(path = '/', method = 'GET', body = ''): Promise<string> {
    const client = await rawClient(this.fairlead.port);
    const fields = ['Accept: application/json', 'Connection: close'];
    if (body !== '') fields.push(`Content-Length: ${body.length}`);
    await client.write(get(path, fields, method) + body);
    try {
      const { status, body: answer } = await client.readResponse({ hasBody: method !== 'HEAD' });
      const text = answer.toString();
      return text.includes('"code"') ? `${status} ${JSON.parse(text).code}` : `${status} ${text}`;
    } catch {
      return `cut: ${await client.closed}`;
    } finally {
      client.socket.destroy();
    }
  }

  /** What was held against the backend so far. */
  async failures(): Promise<number> {
    const samples = await metrics(this.fairlead);
    const name = [...samples.keys()].find((one) =>
      one.startsWith('fairlead_backend_failures_total'),
    );
    return samples.get(name ?? '') ?? -1;
  }
}

let the: Setting;
beforeAll(async () => {
  const backend = await rawHttp2Backend((connection, index) => the.script(connection, index));
  const fairlead = await startProxy([backend.url], {
    protocol: 'h2',
    outlier_detection: false,
    retries: { attempts: 2, budget_percent: 100 },
  });
  the = new Setting(fairlead, backend);
});

/** Answers the first request with these bytes, and all others well. */
function first(...bytes: Make[]): Script {
  let isFirst = true;
  return async (connection) => {
    for (;;) {
      const id = await connection.request();
      if (isFirst) await connection.send(...bytes.map((make) => make(id)));
      else await connection.send(ok(id));
      isFirst = false;
    }
  };
}

const MALFORMED: readonly (readonly [string, Make])[] = [
  ['no status', (id) => headers(id, [['a', 'b']], true)],
  ['a status of two digits', (id) => headers(id, [[':status', '20']], true)],
  ['two statuses', (id) => headers(id, [...OK, ...OK], true)],
  ['a status behind a field', (id) => headers(id, [['a', 'b'], ...OK], true)],
  ['another pseudo-header', (id) => headers(id, [...OK, [':path', '/']], true)],
  ['an upper-case name', (id) => headers(id, [...OK, ['X-A', 'b']], true)],
  ['an empty name', (id) => headers(id, [...OK, ['', 'b']], true)],
  ['a name with a space', (id) => headers(id, [...OK, ['a b', 'b']], true)],
  ['CR LF in a value', (id) => headers(id, [...OK, ['a', 'b\r\nset-cookie: c']], true)],
  ['LF in a value', (id) => headers(id, [...OK, ['a', 'b\nc']], true)],
  ['NUL in a value', (id) => headers(id, [...OK, ['a', 'b\0c']], true)],
  ['space before a value', (id) => headers(id, [...OK, ['a', ' b']], true)],
  ['a Connection field', (id) => headers(id, [...OK, ['connection', 'close']], true)],
  ['Transfer-Encoding', (id) => headers(id, [...OK, ['transfer-encoding', 'chunked']], true)],
  ['two lengths', (id) => headers(id, [...OK, ['content-length', '1'], ['content-length', '2']])],
  ['a length that is none', (id) => headers(id, [...OK, ['content-length', '+1']])],
  ['a length and no body', (id) => headers(id, [...OK, ['content-length', '1']], true)],
  ['a 101', (id) => headers(id, [[':status', '101']])],
  ['an interim response that ends it', (id) => headers(id, [[':status', '103']], true)],
  ['a body before its head', (id) => frame(DATA, END_STREAM, id, 'body')],
];

describe('a malformed head', () => {
  test.each(MALFORMED)('%s', async (_what, make) => {
    await the.fresh(first(make));
    expect(await the.ask()).toBe('502 ERR_BACKEND_BAD_RESPONSE');
    // It was one stream's: the connection is good for the next.
    expect(await the.ask()).toBe('200 ok');
    const [connection, ...others] = the.backend.connections.slice(-1);
    expect(others).toEqual([]);
    const reset = connection?.frames.find(({ type }) => type === RST_STREAM);
    expect(reset?.payload.readUInt32BE()).toBe(PROTOCOL_ERROR);
  });

  test('more of it than may be', async () => {
    const fields = Array.from({ length: 120 }, (_, index) => [`x-${index}`, 'y'] as const);
    await the.fresh(first((id) => headers(id, [...OK, ...fields], true)));
    expect(await the.ask()).toBe('502 ERR_BACKEND_HEAD_TOO_LARGE');
    expect(await the.ask()).toBe('200 ok');
  });
});

describe('a body that is not what its head says', () => {
  test.each<readonly [string, readonly (readonly [string, string])[], (id: number) => Uint8Array]>([
    ['too long', [['content-length', '3']], (id) => frame(DATA, END_STREAM, id, 'four')],
    ['too short', [['content-length', '3']], (id) => frame(DATA, END_STREAM, id, 'ab')],
    [
      'ended by trailers too early',
      [['content-length', '3']],
      (id) => headers(id, [['a', 'b']], true),
    ],
    ['trailers with a status', [], (id) => headers(id, OK, true)],
    ['trailers that do not end it', [], (id) => headers(id, [['a', 'b']])],
  ])('%s', async (_what, fields, next) => {
    await the.fresh(first((id) => headers(id, [...OK, ...fields]), next));
    // Nothing of the answer had to leave before that was seen, or its end is cut.
    expect(await the.ask()).toMatch(/^(502 ERR_BACKEND_BAD_RESPONSE|cut: ECONNRESET)$/);
    expect(await the.ask()).toBe('200 ok');
  });

  test('a body behind a HEAD', async () => {
    await the.fresh(
      first(
        (id) => headers(id, OK),
        (id) => frame(DATA, END_STREAM, id, 'body'),
      ),
    );
    expect(await the.ask('/', 'HEAD')).toMatch(/^502 |^cut: ECONNRESET$/);
    expect(await the.ask()).toBe('200 ok');
  });
});

const BROKEN: readonly (readonly [string, number, Make])[] = [
  ['a frame for a stream that is none', PROTOCOL_ERROR, (id) => headers(id + 2, OK, true)],
  ['a stream of its own', PROTOCOL_ERROR, () => headers(2, OK, true)],
  ['a promise', PROTOCOL_ERROR, (id) => frame(PUSH_PROMISE, END_HEADERS, id, uint32(2))],
  ['CONTINUATION of nothing', PROTOCOL_ERROR, (id) => frame(CONTINUATION, END_HEADERS, id, '')],
  [
    'a frame within a header block',
    PROTOCOL_ERROR,
    (id) =>
      Buffer.concat([frame(HEADERS, 0, id, block(...OK)), frame(PING, 0, 0, Buffer.alloc(8))]),
  ],
  [
    'a header block that can not be read',
    9,
    (id) => frame(HEADERS, END_HEADERS, id, '\xff\xff\xff\xff\xff\xff\xff'),
  ],
  [
    'a window that is too large',
    FLOW_CONTROL_ERROR,
    () => frame(WINDOW_UPDATE, 0, 0, uint32(0x7fffffff)),
  ],
  ['a window of nothing', PROTOCOL_ERROR, () => frame(WINDOW_UPDATE, 0, 0, uint32(0))],
  ['an initial window that is too large', FLOW_CONTROL_ERROR, () => settings([4, 0x80000000])],
  ['SETTINGS of five bytes', 6, () => frame(SETTINGS, 0, 0, '12345')],
  ['a PING of five bytes', 6, () => frame(PING, 0, 0, '12345')],
  ['a header block without end', ENHANCE_YOUR_CALM, (id) => endless(id)],
  ['PING after PING', ENHANCE_YOUR_CALM, () => many(frame(PING, 0, 0, Buffer.alloc(8)))],
  ['SETTINGS after SETTINGS', ENHANCE_YOUR_CALM, () => many(settings([3, 100]))],
  ['frames that nobody knows', ENHANCE_YOUR_CALM, () => many(frame(0x77, 0, 0, 'x'))],
  [
    'empty DATA',
    ENHANCE_YOUR_CALM,
    (id) => Buffer.concat([headers(id, OK), many(frame(DATA, 0, id, ''))]),
  ],
];

function many(one: Uint8Array): Buffer {
  return Buffer.concat(Array.from({ length: 30_000 }, () => one));
}

function endless(id: number): Buffer {
  const part = frame(CONTINUATION, 0, id, block(['x', 'y'.repeat(1000)]));
  return Buffer.concat([
    frame(HEADERS, 0, id, block(...OK)),
    ...Array.from({ length: 500 }, () => part),
  ]);
}

describe('a connection that can not go on', () => {
  test.each(BROKEN)('%s', async (_what, code, make) => {
    const goaways: number[] = [];
    await the.fresh(async (connection, index) => {
      const isOther = index > started;
      for (;;) {
        const id = await connection.request();
        if (isOther) {
          await connection.send(ok(id));
          continue;
        }
        awaitedLater(connection.send(make(id)));
        const goaway = await connection.next(GOAWAY).catch(() => undefined);
        if (goaway !== undefined) goaways.push(goaway.payload.readUInt32BE(4));
        return;
      }
    });
    const started = the.backend.connections.length;
    // A POST was sent, and is not sent again; who asks next is served over another connection.
    expect(await the.ask('/', 'POST', 'once')).toMatch(
      /^(502 ERR_BACKEND_(RESET|TRUNCATED)|cut: ECONNRESET)$/,
    );
    await waitFor(() => goaways.length > 0);
    expect(goaways).toEqual([code]);
    expect(await the.ask()).toBe('200 ok');
    expect(await leftover(the.fairlead)).toEqual(NOTHING);
  });

  test('more DATA than it may send for a stream whose client does not read', async () => {
    const resets: number[] = [];
    await the.fresh(async (connection) => {
      const id = await connection.request();
      const part = frame(DATA, 0, id, Buffer.alloc(16_000));
      const parts = Array.from({ length: 2_000 }, () => part);
      awaitedLater(connection.send(headers(id, OK), ...parts));
      resets.push((await connection.next(RST_STREAM)).payload.readUInt32BE());
    });
    const client = await rawClient(the.fairlead.port);
    client.socket.pause();
    await client.write(get('/'));
    await waitFor(() => resets.length > 0);
    expect(resets).toEqual([FLOW_CONTROL_ERROR]);
    client.reset();
  });
});

describe('requests that were not seen', () => {
  test('a POST above the last stream of a GOAWAY goes out again, and nobody is to blame', async () => {
    let bodies = 0;
    await the.fresh(async (connection, index) => {
      const isOther = index > started;
      for (;;) {
        const id = await connection.request();
        const { payload } = await connection.next(DATA);
        if (isOther) {
          bodies++;
          await connection.send(ok(id, payload.toString()));
        } else {
          await connection.send(frame(GOAWAY, 0, 0, uint32(0, 0)));
        }
      }
    });
    const started = the.backend.connections.length;
    const failures = await the.failures();
    expect(await the.ask('/', 'POST', 'once')).toBe('200 once');
    expect(bodies).toBe(1);
    expect(await the.failures()).toBe(failures);
  });

  test('a POST that it refused goes to another backend, and one that it reset does not', async () => {
    const other = await rawHttp2Backend(async (connection) => {
      for (;;) await connection.send(ok(await connection.request(), 'other'));
    });
    const codes = [REFUSED_STREAM, 2];
    const refusing = await rawHttp2Backend(async (connection) => {
      for (;;) {
        const id = await connection.request();
        await connection.send(frame(RST_STREAM, 0, id, uint32(codes.shift() ?? 8)));
      }
    });
    const fairlead = await startProxy([refusing.url, other.url], {
      protocol: 'h2',
      outlier_detection: false,
    });
    const post = async (): Promise<string> => {
      const response = await fetch(fairlead.url, {
        method: 'POST',
        body: 'x',
        headers: { accept: 'application/json' },
      });
      const text = await response.text();
      return `${response.status} ${text.startsWith('{') ? JSON.parse(text).code : text}`;
    };
    const said = [await post(), await post(), await post()].toSorted();
    expect(said).toEqual(['200 other', '200 other', '502 ERR_BACKEND_RESET']);
  });
});

test('a connection that is dead is noticed while requests wait, by a PING', async () => {
  const silent = await rawHttp2Backend(async (connection, index) => {
    await connection.send(ok(await connection.request()));
    // It takes the second request, and the PING behind it, and says nothing any more.
    if (index === 0) await connection.next(PING).then(() => pings++);
    else for (;;) await connection.send(ok(await connection.request()));
  });
  let pings = 0;
  const fairlead = await startProxy([silent.url], {
    protocol: 'h2',
    timeouts: { backend_ping: '300ms', response: '60s' },
    outlier_detection: false,
  });
  for (let round = 0; round < 2; round++) {
    const response = await fetch(fairlead.url);
    expect([response.status, await response.text()]).toEqual([200, 'ok']);
  }
  expect([pings, silent.connections.length]).toEqual([1, 2]);
});

test('a backend that answers PINGs is left alone, however long it takes', async () => {
  let pings = 0;
  const slow = await rawHttp2Backend(async (connection) => {
    const id = await connection.request();
    const ping = await connection.next(PING);
    pings++;
    await connection.send(frame(PING, ACK, 0, ping.payload));
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await connection.send(ok(id));
  });
  const fairlead = await startProxy([slow.url], {
    protocol: 'h2',
    timeouts: { backend_ping: '200ms', response: '60s' },
  });
  expect((await fetch(fairlead.url)).status).toBe(200);
  expect(pings).toBe(1);
});
