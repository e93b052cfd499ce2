import { expect, test } from 'vitest';
import type { BackendConnection } from '../../src/data/backend/backend-connection.ts';
import type { BackendStreamUser } from '../../src/data/backend/backend-stream.ts';
import { Http1Response } from '../../src/data/backend/http1-response.ts';
import { HeadParser } from '../../src/data/wire/head-parser.ts';

const LIMITS = { requestLineBytes: 1_000, headBytes: 4_000, fields: 20, isLenient: false };

/** A response that is read by nobody, and the parsers that are lent to it. */
function response() {
  const lent = new Set<HeadParser>();
  const connection = { backend: { headLimits: LIMITS } } as BackendConnection;
  const it = new Http1Response(connection, {
    borrowResponseParser: () => {
      const parser = new HeadParser('response', LIMITS);
      lent.add(parser);
      return parser;
    },
    returnResponseParser: (parser) => void lent.delete(parser),
  });
  const said: string[] = [];
  const say = (what: string) => (): void => void said.push(what);
  const user: BackendStreamUser = {
    onMoved: say('moved'),
    onConnected: say('connected'),
    onConnectFailed: say('connect failed'),
    onHead: say('head'),
    onBody: say('body'),
    onFlush: say('flush'),
    onEnd: say('end'),
    onSwitched: (_start, rest) => void said.push(`switched, ${rest.length} bytes behind it`),
    onFailed: (code) => void said.push(code),
    onRoom: say('room'),
    onCutOff: say('cut off'),
    onCrashed: say('crashed'),
  };
  it.begin(user, false, 'websocket');
  return { it, lent, said, user, connection };
}

function receive(it: Http1Response, text: string): void {
  const bytes = Buffer.from(text, 'latin1');
  it.receive(bytes, bytes.length);
}

test.each([[1_000], [20], [1]])(
  'a tunnel keeps no parser, its head in parts of %d bytes',
  (size) => {
    const { it, lent, said } = response();
    const head =
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';
    for (let at = 0; at < head.length; at += size) receive(it, head.slice(at, at + size));
    expect(said.at(-1)).toBe('switched, 0 bytes behind it');
    expect([lent.size, it.heldBytes]).toEqual([0, 0]);
  },
);

test('how long a connection may be idle is what its last response says, and not one before', () => {
  const { it, user, connection } = response();
  const limits = [
    'Keep-Alive: timeout=5',
    'X: y',
    'Keep-Alive: timeout=3',
    'Keep-Alive: max=9',
  ].map((field) => {
    it.begin(user, false, '');
    receive(it, `HTTP/1.1 200 OK\r\nContent-Length: 0\r\n${field}\r\n\r\n`);
    return connection.keepAliveLimitMs;
  });
  const { POSITIVE_INFINITY } = Number;
  expect(limits).toEqual([4_000, POSITIVE_INFINITY, 2_000, POSITIVE_INFINITY]);
});
