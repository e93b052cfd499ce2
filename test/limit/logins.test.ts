/** Checking passwords: what is known, what waits, what is refused, and what it costs. */
import { expect, test } from 'vitest';
import { parsePasswordHash } from '../../src/config/values/password-hash.ts';
import { type Login, LoginUsers } from '../../src/data/limit/basic-auth.ts';
import { Logins, type LoginWaiter } from '../../src/data/limit/logins.ts';
import { HeadParser } from '../../src/data/wire/head-parser.ts';
import { cheapHash } from '../support/password-hash.ts';
import { waitFor } from '../support/wait-for.ts';

/** Pauses end when the test says so. */
class Pauses {
  readonly waiting: { onDue(): void }[] = [];

  now(): number {
    return performance.now();
  }

  set(_dueMs: number, waiting: { onDue(): void }) {
    this.waiting.push(waiting);
    return { dueMs: 0, waiting };
  }

  end(): void {
    this.waiting.shift()?.onDue();
  }
}

class Waiter implements LoginWaiter {
  awaitsLogin = true;
  readonly heard: (boolean | null)[] = [];

  onLoginChecked(isRight: boolean | null): void {
    this.heard.push(isRight);
  }

  onCrashed(error: unknown): void {
    throw error;
  }
}

function usersOf(passwords: Readonly<Record<string, string>>): LoginUsers {
  const users = Object.entries(passwords).map(([name, password]) => {
    const result = parsePasswordHash(cheapHash(password));
    if (!result.ok) throw new Error(result.reason);
    return { name, hash: result.hash };
  });
  return new LoginUsers({ realm: 'a', users, forwardsAuthorization: false });
}

const LIMITS = { requestLineBytes: 1000, headBytes: 10_000, fields: 10, isLenient: false };

function loginOf(users: LoginUsers, ...authorizations: readonly string[]): Login | null {
  const fields = authorizations.map((one) => `Authorization: ${one}\r\n`).join('');
  const bytes = Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`, 'latin1');
  const parser = new HeadParser('request', LIMITS);
  parser.parse(bytes, 0, bytes.length);
  return users.loginOf(parser);
}

function basic(text: string): string {
  return `Basic ${Buffer.from(text, 'utf8').toString('base64')}`;
}

function as(users: LoginUsers, text: string): Login {
  const login = loginOf(users, basic(text));
  if (login === null) throw new Error('no credentials');
  return login;
}

function stage() {
  const pauses = new Pauses();
  return { pauses, logins: new Logins(pauses) };
}

async function checked(logins: Logins, login: Login, client = '10.0.0.1'): Promise<unknown> {
  const waiter = new Waiter();
  expect(logins.check(login, client, waiter)).toBe(true);
  await waitFor(() => waiter.heard.length > 0);
  return waiter.heard[0];
}

test('what was right is known from then on, and so is what was wrong', async () => {
  const { logins, pauses } = stage();
  const users = usersOf({ alice: 'secret', ü: 'a:b:ü' });
  expect(logins.isRight(as(users, 'alice:secret'))).toBe(null);
  expect(await checked(logins, as(users, 'alice:secret'))).toBe(true);
  expect(logins.isRight(as(users, 'alice:secret'))).toBe(true);
  expect(await checked(logins, as(users, 'ü:a:b:ü'))).toBe(true);
  expect(pauses.waiting).toHaveLength(0);
  expect(await checked(logins, as(users, 'alice:Secret'))).toBe(false);
  expect(logins.isRight(as(users, 'alice:Secret'))).toBe(false);
  // What is known of alice goes on being known.
  expect(logins.isRight(as(users, 'alice:secret'))).toBe(true);
});

test('a new password ends the old one at once', async () => {
  const { logins } = stage();
  const before = usersOf({ alice: 'old' });
  expect(await checked(logins, as(before, 'alice:old'))).toBe(true);
  const after = usersOf({ alice: 'new' });
  expect(logins.isRight(as(after, 'alice:old'))).toBe(null);
  expect(await checked(logins, as(after, 'alice:old'))).toBe(false);
});

test('of somebody whom nobody knows, nothing is told apart', async () => {
  const { logins, pauses } = stage();
  const users = usersOf({ alice: 'secret' });
  expect(await checked(logins, as(users, 'bob:secret'))).toBe(false);
  pauses.end();
  // That bob was wrong with it makes nobody else quicker: who is known could be found out by that.
  expect(logins.isRight(as(users, 'carol:secret'))).toBe(null);
  expect(logins.isRight(as(users, 'bob:secret'))).toBe(false);
  expect(await checked(logins, as(users, 'carol:secret'))).toBe(false);
  const { stored } = as(users, 'bob:x');
  const { cost, blockSize, parallelization, salt, key } = as(users, 'alice:x').stored;
  expect(stored).toMatchObject({ cost, blockSize, parallelization });
  expect([stored.salt.length, stored.key.length]).toEqual([salt.length, key.length]);
});

test('the same password is computed once, whoever waits for it', async () => {
  const { logins, pauses } = stage();
  const login = as(usersOf({ alice: 'secret' }), 'alice:wrong');
  const waiters = Array.from({ length: 20 }, () => new Waiter());
  for (const waiter of waiters) expect(logins.check(login, '10.0.0.1', waiter)).toBe(true);
  await waitFor(() => waiters.every(({ heard }) => heard.length > 0));
  expect(waiters.map(({ heard }) => heard)).toEqual(waiters.map(() => [false]));
  expect(pauses.waiting).toHaveLength(1);
});

test('one at a time, and after a wrong one there is a pause', async () => {
  const { logins, pauses } = stage();
  const users = usersOf({ alice: 'secret' });
  const first = new Waiter();
  const second = new Waiter();
  logins.check(as(users, 'alice:1'), '10.0.0.1', first);
  logins.check(as(users, 'alice:secret'), '10.0.0.1', second);
  await waitFor(() => first.heard.length > 0);
  expect([first.heard, second.heard, pauses.waiting.length]).toEqual([[false], [], 1]);
  pauses.end();
  await waitFor(() => second.heard.length > 0);
  expect([second.heard, pauses.waiting.length]).toEqual([[true], 0]);
});

test('so many wait of one client, and so many of all; those that have left cost nothing', async () => {
  const { logins, pauses } = stage();
  const users = usersOf({ alice: 'secret' });
  const waiters: Waiter[] = [];
  const wait = (password: number, client: string): boolean => {
    const waiter = new Waiter();
    waiters.push(waiter);
    return logins.check(as(users, `alice:${password}`), client, waiter);
  };
  let password = 0;
  for (let count = 0; count < 4; count++) expect(wait(password++, '10.0.0.0')).toBe(true);
  expect(wait(password++, '10.0.0.0')).toBe(false);
  for (let client = 1; client <= 15; client++) {
    for (let count = 0; count < 4; count++) expect(wait(password++, `10.0.0.${client}`)).toBe(true);
  }
  expect(wait(password++, '10.0.1.0')).toBe(false);
  // All but the last leave: it is its turn when the first, which is under way, is done.
  const accepted = waiters.filter((_, index) => index !== 4 && index < waiters.length - 1);
  const last = accepted.at(-1) as Waiter;
  for (const waiter of accepted) waiter.awaitsLogin = waiter === last;
  await waitFor(() => pauses.waiting.length === 1);
  pauses.end();
  await waitFor(() => last.heard.length > 0);
  pauses.end();
  // Nothing is left of the others: there is room again.
  for (let count = 0; count < 4; count++) expect(wait(password++, '10.0.0.0')).toBe(true);
});

test.each([
  ['Basic', null],
  ['Bearer YTpi', null],
  ['Basic YTpi YTpi', null],
  // Two readers could see two passwords: RFC 4648 §3.5, and what decoders let pass.
  ['Basic YTpj=', null],
  ['Basic YTp', null],
  ['Basic YT*pi', null],
  ['Basic YTpiMh==', null],
  [`Basic ${Buffer.from('no colon').toString('base64')}`, null],
  [`Basic ${Buffer.from(`a:${'b'.repeat(4096)}`).toString('base64')}`, null],
  ['Basic YTpi', ['a', 'b']],
  ['bASIC   YTpi', ['a', 'b']],
  ['Basic YTpiOmM=', ['a', 'b:c']],
  ['Basic Og==', ['', '']],
  ['Basic w7w6/w==', ['Ã¼', 'ÿ']],
])('%s says %j', (field, credentials) => {
  const login = loginOf(usersOf({ alice: 'secret' }), field);
  expect(login === null ? null : [login.user, login.password]).toEqual(credentials);
});

test('of two fields with credentials, none counts', () => {
  const users = usersOf({ alice: 'secret' });
  expect(loginOf(users, basic('alice:secret'), basic('alice:secret'))).toBe(null);
  expect(loginOf(users, 'Bearer x', basic('alice:secret'))).toBe(null);
});
