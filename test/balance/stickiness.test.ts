import { describe, expect, test } from 'vitest';
import { SessionTable } from '../../src/data/balance/session-table.ts';
import {
  CookieSessions,
  type SessionBackend,
  TableSessions,
} from '../../src/data/balance/stickiness.ts';
import { createClientTable } from '../../src/snapshot/client-table.ts';
import type { SessionCookie, Sticky } from '../../src/snapshot/snapshot.ts';
import { candidates } from './strategy-cases.ts';

const TTL_MS = 60_000;
const BY_COOKIE: Sticky = {
  key: { by: 'cookie', name: 'fairlead' },
  ttlMs: TTL_MS,
  cookie: { sameSite: 'lax', secure: 'auto', domain: '', path: '/' },
  learns: null,
  isShared: false,
};

function backends(...weights: readonly number[]): SessionBackend[] {
  return candidates(...weights).map((candidate) =>
    Object.assign(candidate, {
      spec: { sessionToken: `token-${candidate.id}`, otherTokens: [`former-${candidate.id}`] },
    }),
  );
}

/** What a whole process has: the memory, and a clock that the test moves. */
class Process {
  readonly memory: SharedArrayBuffer;
  nowMs = 0;
  evicted = 0;

  constructor(buckets = 16_384) {
    this.memory = createClientTable({ buckets, values: 1, epochMs: 0 });
  }

  table(): SessionTable<SessionBackend> {
    const now = () => this.nowMs;
    return new SessionTable(
      { memory: this.memory, owner: 'default', ttlMs: TTL_MS },
      now,
      () => this.evicted++,
    );
  }

  thread(
    eligible: readonly SessionBackend[],
    keepers: readonly SessionBackend[] = eligible,
  ): TableSessions<SessionBackend> {
    const sessions = new TableSessions(this.table());
    sessions.rebuild(eligible, keepers);
    return sessions;
  }
}

/** A request as the exchange would have it: the session's backend, or a first choice that is remembered. */
function request(
  sessions: TableSessions<SessionBackend>,
  key: string,
  avoid: readonly SessionBackend[] | null = null,
): number {
  const known = sessions.lookup(key);
  if (known !== null && !avoid?.includes(known)) return known.id;
  const chosen = sessions.choose(key, avoid);
  if (chosen === null) return -1;
  sessions.bind(key, chosen, null);
  return chosen.id;
}

function clients(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `10.0.${index >> 8}.${index & 255}`);
}

describe('a session in the table', () => {
  test('10,000 clients, one of five backends goes: only its clients move, and stay where they are then', () => {
    const all = backends(1, 1, 1, 1, 1);
    // So large that no bucket is full of them, whatever the seeds.
    const process = new Process(65_536);
    const sessions = process.thread(all);
    const before = clients(10_000).map((client) => request(sessions, client));
    for (const backend of all) {
      const share = before.filter((id) => id === backend.id).length;
      expect(Math.abs(share - 2_000)).toBeLessThan(200);
    }
    const rest = all.filter(({ id }) => id !== 2);
    sessions.rebuild(rest, rest);
    const after = clients(10_000).map((client) => request(sessions, client));
    expect(after).not.toContain(2);
    expect(after.every((id, index) => before[index] === 2 || before[index] === id)).toBe(true);
    // It comes back, and nobody is moved a second time.
    sessions.rebuild(all, all);
    expect(clients(10_000).map((client) => request(sessions, client))).toEqual(after);
    expect(process.evicted).toBe(0);
  });

  test('is the same in every thread', () => {
    const all = backends(1, 1, 1);
    const process = new Process();
    const [first, second] = [process.thread(all), process.thread(all)];
    const bound = all[1] as SessionBackend;
    for (const client of clients(50)) {
      first.bind(client, bound, null);
      expect(second.lookup(client)).toBe(bound);
    }
  });

  test('begins where any thread, and a process that has just started, would begin it', () => {
    const weights = [5, 3, 2];
    const ids = [new Process(), new Process()].map((process) => {
      const sessions = process.thread(backends(...weights));
      return clients(3_000).map((client) => request(sessions, client));
    });
    expect(ids[0]).toEqual(ids[1]);
    for (const [id, weight] of weights.entries()) {
      const share = ids[0]?.filter((chosen) => chosen === id).length ?? 0;
      expect(Math.abs(share / 3_000 - weight / 10)).toBeLessThan(0.04);
    }
  });

  test('lasts for its time after the last request, not after the first', () => {
    const all = backends(1, 1);
    const process = new Process();
    const sessions = process.thread(all);
    // Not the first choice, so that the table's word and the hash can be told apart.
    const other = all.find((backend) => backend !== sessions.choose('a', null)) as SessionBackend;
    sessions.bind('a', other, null);
    for (let index = 0; index < 5; index++) {
      process.nowMs += TTL_MS - 1;
      expect(sessions.lookup('a')).toBe(other);
    }
    process.nowMs += TTL_MS + 200;
    expect(sessions.lookup('a')).toBeNull();
    expect(request(sessions, 'a')).not.toBe(other.id);
  });

  test('goes on with a backend that drains or weighs 0, which gets no others', () => {
    const all = backends(1, 1, 1);
    const sessions = new Process().thread(all);
    const before = clients(300).map((client) => request(sessions, client));
    const draining = all[0] as SessionBackend;
    sessions.rebuild(all.slice(1), all);
    expect(clients(300).map((client) => request(sessions, client))).toEqual(before);
    expect(before).toContain(draining.id);
    for (let index = 0; index < 300; index++) {
      expect(request(sessions, `198.51.100.${index}`)).not.toBe(draining.id);
    }
  });

  test('ends with a retry on another backend, and goes on there', () => {
    const all = backends(1, 1, 1);
    const sessions = new Process().thread(all);
    const first = request(sessions, 'a');
    const second = request(sessions, 'a', [all[first] as SessionBackend]);
    expect(second).not.toBe(first);
    expect(request(sessions, 'a')).toBe(second);
  });

  test('nobody eligible: none begins', () => {
    const sessions = new Process().thread([]);
    expect(request(sessions, 'a')).toBe(-1);
    expect(sessions.lookup('a')).toBeNull();
  });

  test('that was forgotten for want of room is counted', () => {
    const process = new Process(1);
    const sessions = process.thread(backends(1, 1));
    for (const client of clients(8)) {
      request(sessions, client);
      process.nowMs += 1_000;
    }
    expect(process.evicted).toBe(0);
    request(sessions, 'late');
    expect(process.evicted).toBe(1);
    const [oldest = '', ...others] = clients(8);
    expect(sessions.lookup(oldest)).toBeNull();
    for (const client of others) expect(sessions.lookup(client)).not.toBeNull();
    process.nowMs += 2 * TTL_MS;
    request(sessions, 'later');
    expect(process.evicted).toBe(1);
  });

  test('sets no cookie', () => {
    expect(new Process().thread(backends(1)).cookieLine()).toBe('');
  });
});

function byCookie(
  eligible: readonly SessionBackend[],
  keepers: readonly SessionBackend[] = eligible,
  sticky = BY_COOKIE,
): CookieSessions<SessionBackend> {
  const sessions = new CookieSessions<SessionBackend>(sticky, sticky.cookie as SessionCookie);
  sessions.rebuild(eligible, keepers);
  return sessions;
}

describe('a session in a cookie', () => {
  test('is the backend whose token it is', () => {
    const all = backends(1, 1, 1);
    const sessions = byCookie(all);
    for (const backend of all) expect(sessions.lookup(backend.spec.sessionToken)).toBe(backend);
  });

  test('is the same by a token of before', () => {
    const [first, second] = backends(1, 1) as [SessionBackend, SessionBackend];
    const sessions = byCookie([first, second]);
    expect(sessions.lookup('former-1')).toBe(second);
    expect(sessions.isKnown('former-1')).toBe(true);
  });

  test.each(['', 'token', 'token-9', 'TOKEN-1', '"token-1"', '__proto__', '1'])(
    'that says %j is none',
    (token) => {
      expect(byCookie(backends(1, 1)).lookup(token)).toBeNull();
    },
  );

  test('goes on with a backend that drains and ends with one that is gone', () => {
    const all = backends(1, 1);
    const sessions = byCookie(all.slice(1), all);
    expect(sessions.lookup('token-0')).toBe(all[0]);
    sessions.rebuild(all.slice(1), all.slice(1));
    expect(sessions.lookup('token-0')).toBeNull();
    expect(sessions.lookup(null)).toBeNull();
  });

  test('begins with the choice of the strategy', () => {
    expect(byCookie(backends(1, 1)).choose()).toBeNull();
  });

  test('is told to the client that does not know it', () => {
    const all = backends(1, 1);
    const [first, second] = all as [SessionBackend, SessionBackend];
    const sessions = byCookie(all);
    const line = 'Set-Cookie: fairlead=token-0; Path=/; Max-Age=60; HttpOnly; SameSite=Lax';
    expect(sessions.cookieLine(null, first, false)).toBe(`${line}\r\n`);
    expect(sessions.cookieLine('forged', first, true)).toBe(`${line}; Secure\r\n`);
    expect(sessions.cookieLine('token-1', first, false)).toBe(`${line}\r\n`);
    expect(sessions.cookieLine('token-0', first, true)).toBe('');
    expect(sessions.cookieLine('token-0', second, false)).toContain('fairlead=token-1;');
  });

  test('has the name and the time that are configured, in whole seconds', () => {
    const sticky = { ...BY_COOKIE, key: { by: 'cookie', name: 'srv' }, ttlMs: 1_500 } as const;
    const all = backends(1);
    const line = byCookie(all, all, sticky).cookieLine(null, all[0] as SessionBackend, false);
    expect(line).toBe('Set-Cookie: srv=token-0; Path=/; Max-Age=2; HttpOnly; SameSite=Lax\r\n');
  });

  test.each([
    [{}, '; Path=/; Max-Age=60; HttpOnly; SameSite=Lax', '; Secure'],
    [{ secure: true }, '; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure', ''],
    [{ secure: false, sameSite: 'strict' }, '; Path=/; Max-Age=60; HttpOnly; SameSite=Strict', ''],
    [
      { domain: 'example.com', path: '/shop' },
      '; Path=/shop; Domain=example.com; Max-Age=60; HttpOnly; SameSite=Lax',
      '; Secure',
    ],
    // Clients would refuse SameSite=None without Secure.
    [{ sameSite: 'none' }, '; Path=/; Max-Age=60; HttpOnly', '; SameSite=None; Secure'],
  ] as const)('has the attributes of %j', (attributes, expected, more) => {
    const cookie = { ...(BY_COOKIE.cookie as SessionCookie), ...attributes };
    const all = backends(1);
    const sessions = byCookie(all, all, { ...BY_COOKIE, cookie });
    const [backend] = all as [SessionBackend];
    const start = 'Set-Cookie: fairlead=token-0';
    expect(sessions.cookieLine(null, backend, false)).toBe(`${start}${expected}\r\n`);
    expect(sessions.cookieLine(null, backend, true)).toBe(`${start}${expected}${more}\r\n`);
  });

  test('is known while its backend keeps sessions', () => {
    const all = backends(1, 1);
    const sessions = byCookie(all.slice(1), all);
    expect(['token-0', 'token-1', 'token-2', ''].map((key) => sessions.isKnown(key))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });
});
