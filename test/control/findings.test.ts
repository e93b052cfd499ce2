/** What is made of the answers of a source: order, bounds, too short ones, and what is said of faults. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { BackendSettings } from '../../src/config/settings.ts';
import { Findings } from '../../src/control/discovery/findings.ts';
import type { KeptList } from '../../src/control/discovery/kept-lists.ts';
import { address, recordLog } from './fixtures.ts';

beforeEach(() => {
  vi.useFakeTimers();
  applied = [];
});
afterEach(() => {
  vi.useRealTimers();
});

function backends(...hosts: string[]): BackendSettings[] {
  return hosts.map((host) => ({ ...address(`http://${host}`), weight: 1, isBackup: false }));
}

let applied: string[][] = [];

type Apply = (list: readonly BackendSettings[], isKept: boolean) => Promise<void>;

function find(
  minBackends = 1,
  apply: Apply = async (list) => void applied.push(hostsOf(list)),
  kept?: KeptList,
) {
  const log = recordLog();
  const findings = new Findings({
    settings: { minBackends },
    shown: 'app',
    log,
    now: () => performance.now(),
    apply,
    kept,
  });
  return { findings, log, applied };
}

function hostsOf(list: readonly BackendSettings[]): string[] {
  return list.map(({ host }) => host);
}

test('a list is in order, each backend once, and bounded', async () => {
  const many = Array.from({ length: 1200 }, (_, index) => `10.0.${index >> 8}.${index & 255}`);
  const { findings, log } = find();
  await findings.onList(backends(...many, ...many).toReversed());
  await findings.onList(backends(...many));
  const urls = backends(...many).toSorted((a, b) => (a.url < b.url ? -1 : 1));
  expect(applied).toEqual([hostsOf(urls).slice(0, 1000), hostsOf(urls).slice(0, 1000)]);
  expect(log.events()).toEqual(['discovery.too_many']);
  expect(findings.status).toMatchObject({ successes: 2, found: 1000, isFailing: false });
});

test.each([
  [1, [], 'it has no backend'],
  [
    3,
    ['10.0.0.1', '10.0.0.2', '10.0.0.2'],
    'it has 2 of the 3 backends that min_backends asks for',
  ],
])('with min_backends %i, %j is a fault', async (minBackends, hosts, reason) => {
  const { findings, log } = find(minBackends);
  await findings.onList(backends(...hosts));
  await findings.first;
  expect(applied).toEqual([]);
  expect(findings.status).toMatchObject({ isFailing: true, faults: 1, reason, found: 0 });
  expect(log.events()).toEqual(['discovery.failed']);
});

test('with min_backends 0 an empty answer is one', async () => {
  const { findings, log } = find(0);
  await findings.onList([]);
  expect(applied).toEqual([[]]);
  expect(log.events()).toEqual([]);
});

test('a fault is told once in a row, and a source that comes and goes floods nothing', async () => {
  const { findings, log } = find();
  for (let round = 0; round < 100; round++) {
    findings.onFault(`refused\n${round}`);
    findings.onFault('refused');
    await findings.onList(backends('10.0.0.1'));
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(log.events()).toEqual(['discovery.failed', 'discovery.recovered']);
  expect(findings.status).toMatchObject({ faults: 200, successes: 100 });
  // One that lasts is told when the minute is over.
  findings.onFault('refused');
  await vi.advanceTimersByTimeAsync(60_000);
  findings.onFault('refused again\u2028and again');
  expect(log.events().slice(2)).toEqual(['discovery.failed']);
  expect(findings.status.reason).toBe('refused again and again');
  findings.stop();
});

test('of lists that come while one is put in force, the last one counts', async () => {
  const held: (() => void)[] = [];
  const { findings } = find(1, async (list) => {
    applied.push(hostsOf(list));
    await new Promise<void>((resolve) => held.push(resolve));
  });
  const all = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((host) => findings.onList(backends(host)));
  held[0]?.();
  await vi.waitFor(() => expect(applied).toEqual([['10.0.0.1'], ['10.0.0.3']]));
  held[1]?.();
  await Promise.all(all);
});

test('what is left out is told once, and shown as long as it is so', async () => {
  const { findings, log } = find();
  for (let round = 0; round < 3; round++) {
    await findings.onList(backends('10.0.0.1'), ['b has no port', `a ${'x'.repeat(500)}`]);
  }
  expect(log.events()).toEqual(['discovery.left_out']);
  expect(findings.status.leftOut).toEqual([`a ${'x'.repeat(298)}…`, 'b has no port']);
  await findings.onList(backends('10.0.0.1'));
  expect(findings.status.leftOut).toEqual([]);
});

const AT = Date.parse('2026-01-02T03:04:05Z');
const KEPT: KeptList = { list: backends('10.0.0.8', '10.0.0.9'), at: AT };

test('what was kept is used once the source has failed, and not any more once it answers', async () => {
  const { findings, log } = find(3, undefined, KEPT);
  findings.begin();
  expect(applied).toEqual([]);
  // One with too few is no answer, whatever was there before.
  await findings.onList(backends('10.0.0.1'));
  await findings.first;
  expect(applied).toEqual([['10.0.0.8', '10.0.0.9']]);
  expect(findings.status).toMatchObject({ found: 2, keptAt: AT, isFailing: true, successes: 0 });
  const [, told] = log.lines;
  expect(told?.message).toBe(
    'app does not answer as it should, so what it had at 2026-01-02T03:04:05.000Z is used: backends: 2',
  );
  findings.onFault('refused');
  await findings.onList(backends('10.0.0.1', '10.0.0.2', '10.0.0.3'));
  findings.onFault('refused');
  await vi.advanceTimersByTimeAsync(10_000);
  expect(applied.slice(1)).toEqual([['10.0.0.1', '10.0.0.2', '10.0.0.3']]);
  expect(findings.status).toMatchObject({ found: 3, keptAt: undefined });
  expect(log.events()).toEqual(['discovery.failed', 'discovery.kept_used', 'discovery.recovered']);
  findings.stop();
});

test('a source that says nothing has a moment, and one that is in time is not preceded by the past', async () => {
  const late = find(1, undefined, KEPT);
  late.findings.begin();
  await vi.advanceTimersByTimeAsync(299);
  expect(applied).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  await late.findings.first;
  expect(applied).toEqual([['10.0.0.8', '10.0.0.9']]);
  expect(late.log.events()).toEqual(['discovery.kept_used']);
  await late.findings.onList(backends('10.0.0.1'));
  expect(late.log.events()).toEqual(['discovery.kept_used', 'discovery.recovered']);

  applied = [];
  const inTime = find(0, undefined, KEPT);
  inTime.findings.begin();
  await inTime.findings.onList([]);
  inTime.findings.onFault('refused');
  await vi.advanceTimersByTimeAsync(1_000);
  expect(applied).toEqual([[]]);
  const stopped = find(1, undefined, KEPT);
  stopped.findings.begin();
  stopped.findings.stop();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(applied).toEqual([[]]);
});

test('an answer that comes while what was kept is put in force is the last word', async () => {
  const held: (() => void)[] = [];
  const orders: [string[], boolean][] = [];
  const { findings } = find(
    1,
    async (list, isKept) => {
      orders.push([hostsOf(list), isKept]);
      await new Promise<void>((resolve) => held.push(resolve));
    },
    KEPT,
  );
  findings.begin();
  findings.onFault('refused');
  const answered = findings.onList(backends('10.0.0.1'));
  held[0]?.();
  await vi.waitFor(() => expect(orders).toHaveLength(2));
  held[1]?.();
  await answered;
  expect(orders).toEqual([
    [['10.0.0.8', '10.0.0.9'], true],
    [['10.0.0.1'], false],
  ]);
});

test('behind the end nothing is told and nothing is done', async () => {
  const { findings, log } = find();
  findings.onFault('refused');
  findings.stop();
  await findings.onList(backends('10.0.0.1'));
  findings.onFault('refused');
  await vi.advanceTimersByTimeAsync(120_000);
  expect(applied).toEqual([]);
  expect(log.events()).toEqual(['discovery.failed']);
});
