/** Sessions that answers have named, without a network: what is remembered, for how long, and what is not. */
import { describe, expect, test } from 'vitest';
import { CookieLearner, EngineIoLearner } from '../../src/data/balance/learned-sessions.ts';
import { SessionTable } from '../../src/data/balance/session-table.ts';
import type { SessionBackend } from '../../src/data/balance/stickiness.ts';
import { createClientTable } from '../../src/snapshot/client-table.ts';
import type { Sticky } from '../../src/snapshot/snapshot.ts';
import { held, latin1 } from '../wire/parse.ts';
import { candidate } from './strategy-cases.ts';

const TTL_MS = 60_000;
const STICKY: Sticky = {
  key: { by: 'cookie', name: 'JSESSIONID' },
  ttlMs: TTL_MS,
  cookie: null,
  learns: 'cookie',
  isShared: false,
};
const HANDSHAKE = '/socket.io/?EIO=4&transport=polling';

const backend = (id: number): SessionBackend =>
  Object.assign(candidate(id, 1), { spec: { sessionToken: '', otherTokens: [] } });
const [first, second] = [backend(0), backend(1)];

class Process {
  nowMs = 0;
  evicted = 0;
  readonly #memory: SharedArrayBuffer;

  constructor(buckets = 1_024) {
    this.#memory = createClientTable({ buckets, values: 1, epochMs: 0 });
  }

  #table(): SessionTable<SessionBackend> {
    const now = () => this.nowMs;
    return new SessionTable(
      { memory: this.#memory, owner: 'default', ttlMs: TTL_MS },
      now,
      () => this.evicted++,
    );
  }

  byCookie(): CookieLearner<SessionBackend> {
    const sessions = new CookieLearner(STICKY, this.#table(), () => 0);
    sessions.rebuild([first, second], [first, second]);
    return sessions;
  }

  bySocketIo(): EngineIoLearner<SessionBackend> {
    const sessions = new EngineIoLearner(this.#table());
    sessions.rebuild([first, second], [first, second]);
    return sessions;
  }
}

function answerWith(...lines: readonly string[]) {
  return held('response', `HTTP/1.1 200 OK\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`);
}

function setting(value: string) {
  return answerWith(`Set-Cookie: JSESSIONID=${value}; Path=/`);
}

describe('by a cookie of the backends', () => {
  test('what one thread has learned all of them know, for the ttl after its last use', () => {
    const process = new Process();
    const [one, other] = [process.byCookie(), process.byCookie()];
    one.learn(null, '/', setting('a'), second);
    for (let round = 0; round < 5; round++) {
      process.nowMs += TTL_MS - 1;
      expect([other.lookup('a'), other.lookup('"a"'), other.isKnown('a')]).toEqual([
        second,
        second,
        true,
      ]);
    }
    process.nowMs += TTL_MS + 200;
    expect([one.lookup('a'), one.isKnown('a')]).toEqual([null, false]);
  });

  test('names that clients make up leave nothing behind, and go by hash', () => {
    const process = new Process(1);
    const sessions = process.byCookie();
    sessions.learn(null, '/', setting('a'), first);
    for (let index = 0; index < 1_000; index++) {
      const chosen = sessions.choose(`made-up-${index}`, null) as SessionBackend;
      expect(process.byCookie().choose(`made-up-${index}`, null)).toBe(chosen);
      sessions.bind(`made-up-${index}`, chosen, null);
      expect(sessions.lookup(`made-up-${index}`)).toBeNull();
    }
    expect([sessions.lookup('a'), process.evicted]).toEqual([first, 0]);
  });

  test('a session that is known moves with its client', () => {
    const sessions = new Process().byCookie();
    sessions.learn(null, '/', setting('a'), first);
    sessions.bind('a', second, null);
    expect(sessions.lookup('a')).toBe(second);
    sessions.rebuild([first], [first]);
    expect(sessions.lookup('a')).toBeNull();
  });

  test('room is bounded: what ends first is forgotten, and counted', () => {
    const process = new Process(1);
    const sessions = process.byCookie();
    for (let index = 0; index < 9; index++) {
      sessions.learn(null, '/', setting(`s${index}`), first);
      process.nowMs += 1_000;
    }
    expect(process.evicted).toBe(1);
    expect([sessions.lookup('s0'), sessions.lookup('s8')]).toEqual([null, first]);
  });

  test('the end of a session is that of the one that was asked with', () => {
    const sessions = new Process().byCookie();
    for (const id of ['a', 'b']) sessions.learn(null, '/', setting(id), first);
    sessions.learn('"a"', '/', setting('; Max-Age=0'), first);
    sessions.learn(null, '/', setting('; Max-Age=0'), first);
    expect([sessions.lookup('a'), sessions.lookup('b')]).toEqual([null, first]);
    // A renewed one, of which the old one of another path is taken away.
    const lines = ['Set-Cookie: JSESSIONID=c', 'Set-Cookie: JSESSIONID=; Path=/old; Max-Age=0'];
    sessions.learn('b', '/', answerWith(...lines), second);
    expect([sessions.lookup('b'), sessions.lookup('c')]).toEqual([null, second]);
  });
});

describe('by socket.io', () => {
  const body = latin1('0{"sid":"abc-1","upgrades":["websocket"],"pingInterval":25000}');

  test('the session is known once its name has come, however it comes', () => {
    for (let size = 1; size <= body.length; size++) {
      const sessions = new Process().bySocketIo();
      const learner = sessions.learn(null, HANDSHAKE, answerWith(), second);
      let wantsMore = true;
      for (let start = 0; start < body.length && wantsMore; start += size) {
        expect(sessions.lookup('abc-1')).toBeNull();
        wantsMore = learner?.take(body, start, Math.min(body.length, start + size)) === true;
      }
      expect([wantsMore, sessions.lookup('abc-1')]).toEqual([false, second]);
    }
  });

  test('a KiB is read of an answer that names none', () => {
    const sessions = new Process().bySocketIo();
    const learner = sessions.learn(null, HANDSHAKE, answerWith(), first);
    const much = Buffer.concat([Buffer.alloc(1_020, 'x'), body]);
    expect(learner?.take(much, 0, 1_000)).toBe(true);
    expect(learner?.take(much, 1_000, much.length)).toBe(false);
    expect(sessions.lookup('abc-1')).toBeNull();
  });

  test.each([
    ['a request that names one', 'abc', HANDSHAKE, answerWith()],
    ['a WebSocket', null, '/socket.io/?EIO=4&transport=websocket', answerWith()],
    ['any other request', null, '/', answerWith()],
    ['a compressed answer', null, HANDSHAKE, answerWith('Content-Encoding: gzip')],
    ['an error', null, HANDSHAKE, held('response', 'HTTP/1.1 400 Bad Request\r\n\r\n')],
  ])('the body of %s is not read', (_what, key, path, answer) => {
    expect(new Process().bySocketIo().learn(key, path, answer, first)).toBeNull();
  });
});
