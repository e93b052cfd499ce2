/** Names that clients ask for: who decides is asked once, not too often, and nothing beyond the bounds is ordered. */
import { expect, test } from 'vitest';
import { onDemandGroup } from '../../../src/config/acme-settings.ts';
import { validateConfigText } from '../../../src/config/load.ts';
import { digestOf, type FailureRecord } from '../../../src/control/acme/acme-records.ts';
import { allWanted } from '../../../src/control/acme/all-wanted.ts';
import { OnDemand } from '../../../src/control/acme/on-demand.ts';
import { AskedNames } from '../../../src/data/listen/asked-names.ts';

const MINUTE_MS = 60_000;

function settingsWith(acme: object) {
  const config = { backends: [], listeners: [{ port: 443, tls: { acme } }] };
  const input = { flags: { values: [] }, env: {}, cwd: '/', configFile: '/nowhere/c.json' };
  const result = validateConfigText(JSON.stringify(config), 'c.json', input);
  const issuing = result.ok ? result.settings.listeners[0].tls?.acme : undefined;
  if (!result.ok || !issuing) throw new Error('a config without a fault');
  return { settings: result.settings, issuing };
}

function setUp(limits: object = {}) {
  const acme = {
    on_demand: { ask: 'http://ask.test/a?key=1', ...limits },
    challenge: 'tls-alpn-01',
  };
  const { settings, issuing } = settingsWith(acme);
  const stopping = new AbortController();
  const asked: string[] = [];
  const answers: ((status: number | Error) => void)[] = [];
  const events: string[] = [];
  const hear = (event: string): void => void events.push(event);
  const time = { nowMs: 1e12 };
  const counts = { allowed: 0, refused: 0, failed: 0, dropped: 0 };
  const onDemand = new OnDemand({
    log: { debug: hear, info: hear, warn: hear, error: hear, fatal: hear },
    counts,
    signal: stopping.signal,
    nowMs: () => time.nowMs,
    pause: async () => {},
    onAllowed: () => {},
    askUrl: (url) => {
      asked.push(url);
      return new Promise((resolve, reject) => {
        answers.push((status) => (typeof status === 'number' ? resolve(status) : reject(status)));
      });
    },
  });
  onDemand.sync(settings);
  const group = onDemandGroup(issuing) ?? '';
  const answer = async (status: number | Error): Promise<void> => {
    answers.shift()?.(status);
    await new Promise((resolve) => setImmediate(resolve));
  };
  const ask = (...names: string[]): void => onDemand.asked(group, names);
  return { onDemand, ask, asked, answer, events, time, counts, acme, stopping };
}

test('a name is asked for once, and a refusal is remembered', async () => {
  const { onDemand, ask, asked, answer, time, counts, events } = setUp();
  ask('a.test', 'b.test');
  ask('a.test');
  onDemand.asked('of no listener', ['c.test']);
  expect(asked).toEqual(['a.test', 'b.test'].map((it) => `http://ask.test/a?key=1&domain=${it}`));
  await answer(200);
  await answer(302);
  expect(onDemand.pending.map(({ name }) => name)).toEqual(['a.test']);
  ask('a.test', 'b.test');
  expect(asked).toHaveLength(2);
  time.nowMs += 6 * MINUTE_MS;
  ask('b.test');
  await answer(new Error('refused'));
  ask('b.test');
  time.nowMs += MINUTE_MS / 2;
  ask('b.test');
  expect(asked).toHaveLength(4);
  expect(counts).toEqual({ allowed: 1, refused: 1, failed: 1, dropped: 0 });
  expect(events).toEqual(['certificate.allowed', 'certificate.ask_failed']);
});

test('eight are asked for at once, two hundred wait, and the others are forgotten', async () => {
  const { ask, asked, answer, counts } = setUp();
  ask(...Array.from({ length: 300 }, (_, index) => `n${index}.test`));
  expect(asked).toHaveLength(8);
  expect(counts.dropped).toBe(100);
  await answer(404);
  expect(asked).toHaveLength(9);
});

test('so many orders in an hour, and so many names', async () => {
  const { onDemand, ask, answer, time, events, counts } = setUp({
    max_names: 3,
    max_orders_per_hour: 2,
  });
  const allow = async (name: string): Promise<void> => {
    ask(name);
    await answer(200);
  };
  for (const name of ['a.test', 'b.test', 'c.test']) await allow(name);
  expect(onDemand.pending.map(({ name }) => name)).toEqual(['a.test', 'b.test']);
  expect(events.at(-1)).toBe('certificate.on_demand_limited');
  time.nowMs += 61 * MINUTE_MS;
  // Those that are there count as well.
  onDemand.isWanted(onDemand.pending, onDemand.pending);
  for (const name of ['c.test', 'd.test']) await allow(name);
  expect(onDemand.pending.map(({ name }) => name)).toEqual(['c.test']);
  expect(counts).toMatchObject({ allowed: 3, dropped: 2 });
});

test('before a renewal it is asked again, and not for what the config names', async () => {
  const { onDemand, ask, asked, answer } = setUp();
  ask('a.test');
  await answer(200);
  const [wanted] = onDemand.pending;
  if (wanted === undefined) throw new Error('not allowed');
  await onDemand.stillAllowed(wanted);
  onDemand.isWanted([wanted], [wanted]);
  const renewal = onDemand.stillAllowed(wanted);
  await Promise.all([
    expect(renewal).rejects.toThrow(/^http:\/\/ask\.test does not allow it any more: 403$/),
    answer(403),
  ]);
  const { settings } = wanted;
  await onDemand.stillAllowed({ ...wanted, settings: { ...settings, names: ['a.test'] } });
  expect(asked).toHaveLength(2);
});

test('a name that fails three times is tried again when somebody connects, and it is time', async () => {
  const { onDemand, ask, asked, answer, time } = setUp();
  ask('a.test');
  await answer(200);
  const [wanted] = onDemand.pending;
  if (wanted === undefined) throw new Error('not allowed');
  const record = { version: 1, atMs: 0, message: '', kind: '', hint: '' } as const;
  const failure = (more: Partial<FailureRecord>): FailureRecord => ({
    ...record,
    failures: 3,
    retryAtMs: time.nowMs + 30 * MINUTE_MS,
    settings: digestOf(wanted.settings),
    ...more,
  });
  const wantedWith = (failed: FailureRecord): string[] => {
    const stored = { keys: [], certificateAt: () => undefined, nowMs: time.nowMs };
    return allWanted([], onDemand, { ...stored, failureOf: () => failed }).map(({ name }) => name);
  };
  expect(wantedWith(failure({ failures: 2 }))).toEqual(['a.test']);
  expect(wantedWith(failure({ settings: 'of before' }))).toEqual(['a.test']);
  const third = failure({});
  expect(wantedWith(third)).toEqual([]);
  // Whoever connects before the time of the next try costs no question, and no order of this hour.
  ask('a.test');
  expect(asked).toHaveLength(1);
  time.nowMs += 31 * MINUTE_MS;
  expect(wantedWith(third)).toEqual([]);
  ask('a.test');
  await answer(200);
  expect(wantedWith(third)).toEqual(['a.test']);
  expect(wantedWith(failure({ failures: 4 }))).toEqual([]);
});

test('names that are asked about or ordered for are those of the settings of now', async () => {
  const { onDemand, ask, asked, answer, acme, counts } = setUp();
  ask(...Array.from({ length: 12 }, (_, index) => `n${index}.test`));
  await answer(200);
  onDemand.sync(settingsWith({ ...acme, email: 'new@a.test' }).settings);
  await answer(200);
  expect(onDemand.pending.map(({ settings: { email } }) => email)).toEqual(
    Array(2).fill('new@a.test'),
  );
  expect(asked).toHaveLength(10);
  onDemand.sync(settingsWith({ names: ['b.test'], challenge: 'tls-alpn-01' }).settings);
  await answer(200);
  expect(onDemand.pending).toEqual([]);
  expect(asked).toHaveLength(10);
  expect(counts.allowed).toBe(2);
});

test('at a stop nobody is blamed for questions without an answer', async () => {
  const { ask, answer, counts, events, stopping } = setUp();
  ask('a.test');
  stopping.abort();
  await answer(new Error('aborted'));
  expect(events).toEqual([]);
  expect(counts.failed).toBe(0);
});

test('what is told of is a host name, and not too much of it', () => {
  const names = new AskedNames();
  for (const name of ['', 'localhost', '10.0.0.1', '*.a.test', 'a..test', 'a b.test', '-a.test']) {
    names.add(name);
  }
  expect(names.take()).toEqual([]);
  for (let index = 0; index < 100; index++) names.add(`n${index}.a-b.test`);
  names.add('n0.a-b.test');
  expect(names.take()).toHaveLength(64);
  expect(names.take()).toEqual([]);
});
