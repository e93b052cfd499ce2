/** `slow_start`: a backend that comes, or comes back, gets its full share only after a while. */
import { beforeAll, expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { type NamedPool, namedBackends, startPool, startPoolOf } from './named-pool.ts';

let timeMs = 3_000;
const slow = () => ({ slow_start: `${timeMs}ms` });

// Long enough for a few looks at each of its steps, on this machine.
beforeAll(async () => {
  const the = await startPool(2);
  const looks = [1, 2, 3].map(() => async () => {
    const startedAt = performance.now();
    await the.views();
    await the.names(40);
    return performance.now() - startedAt;
  });
  for (const look of looks)
    timeMs = Math.max(timeMs, Math.min(20_000, Math.ceil(40 * (await look()))));
});

/** Until all backends are what they were for longer than a slow start lasts. */
async function warm(the: NamedPool): Promise<void> {
  const changes = (await the.views()).map(({ last_change }) => Date.parse(last_change));
  const end = Math.max(...changes) + timeMs + 100;
  await waitFor(() => Date.now() > end, timeMs + 2_000);
}

/** Of so many requests, how many came to the backend of this name. */
async function share(the: NamedPool, count: number, name: string): Promise<number> {
  return (await the.names(count)).filter((one) => one === name).length;
}

/**
 * Looks at B while it warms up beside an A that is warm.
 * @returns the weights that it had, in order.
 */
async function watchWarmUp(the: NamedPool): Promise<number[]> {
  const weights: number[] = [];
  /** Of each look in which the weight stayed the same: tenths, and how many requests it got beyond its share. */
  const looks: { readonly tenths: number; readonly beyond: number }[] = [];
  for (;;) {
    const { effective_weight: before } = await the.viewWhere(1, () => true);
    const tenths = Math.round(before * 10);
    // Two rounds of a smooth weighted round robin.
    const count = 2 * (10 + tenths);
    const got = await share(the, count, 'B');
    const { effective_weight: after } = await the.viewWhere(1, () => true);
    if (before === after) {
      looks.push({ tenths, beyond: got - 2 * tenths });
      if (before !== weights.at(-1)) weights.push(before);
      if (before === 1) break;
    }
  }
  expect(looks.length).toBeGreaterThan(3);
  expect(looks.filter(({ beyond }) => Math.abs(beyond) > 2)).toEqual([]);
  return weights;
}

test('an added backend begins with a tenth, and its share grows to the full one', async () => {
  const [first, second] = await namedBackends(2);
  if (first === undefined || second === undefined) throw new Error('two were asked for');
  const the = await startPoolOf([first], slow());
  await warm(the);
  const { status, json } = await the.call('POST', '/backends', { url: second.url });
  expect([status, json['effective_weight'], json['why']]).toEqual([
    201,
    0.1,
    expect.stringMatching(/slow start: counts for 10 % of its weight$/),
  ]);
  const weights = await watchWarmUp(the);
  expect(weights[0]).toBeLessThan(0.5);
  expect(weights.at(-1)).toBe(1);
  expect(weights).toEqual(weights.toSorted((a, b) => a - b));
  expect(weights.length).toBeGreaterThan(3);
  expect(await share(the, 20, 'B')).toBe(10);
});

test('so does one that was down', async () => {
  const the = await startPool(2, {
    ...slow(),
    health_check_frequency: '50ms',
    health_check_fall: 1,
    health_check_rise: 1,
  });
  await warm(the);
  await the.backend(1).stop();
  await the.viewWhere(1, ({ alive }) => !alive);
  expect(await share(the, 10, 'B')).toBe(0);
  await the.backend(1).start();
  const back = await the.viewWhere(1, ({ alive }) => alive);
  expect(back.effective_weight).toBeLessThan(0.5);
  const weights = await watchWarmUp(the);
  expect(weights[0]).toBeLessThan(0.6);
});

test('and one that was taken out, or ejected', async () => {
  const the = await startPool(2, {
    ...slow(),
    panic_threshold_percent: false,
    outlier_detection: { base_ejection: '200ms', consecutive_5xx: 5, failure_percent: false },
  });
  await warm(the);
  await the.call('PUT', '/backends/1/status', { alive: false });
  const { json } = await the.call('PUT', '/backends/1/status', { alive: true });
  expect(json['effective_weight']).toBe(0.1);
  await warm(the);
  the.backend(1).answer = (_request, response) => {
    response.writeHead(500).end();
  };
  await the.names(10);
  await the.viewWhere(1, ({ alive }) => !alive);
  const back = await the.viewWhere(1, ({ alive }) => alive);
  expect(back.effective_weight).toBeLessThan(0.5);
});

test('a pool that is all cold does not spare anybody', async () => {
  const the = await startPool(2, { slow_start: '1h' });
  expect((await the.views()).map(({ effective_weight }) => effective_weight)).toEqual([1, 1]);
  expect(await share(the, 20, 'B')).toBe(10);
});

test('without it, an added backend has its full share at once', async () => {
  const [first, second] = await namedBackends(2);
  if (first === undefined || second === undefined) throw new Error('two were asked for');
  const the = await startPoolOf([first], {});
  await the.call('POST', '/backends', { url: second.url });
  expect(await share(the, 20, 'B')).toBe(10);
});
