/** What the bench makes of its raw figures: bench/*.mjs, as far as it needs no processes. */
import { describe, expect, test } from 'vitest';

// Plain modules without declarations: named at run time, so that the compiler does not look for any.
const bench = async (name: string) =>
  import(new URL(`../../bench/${name}.mjs`, import.meta.url).href);
const { median, pairedRatio, percentile, percentileOfGroups, withInterval } =
  await bench('statistics');
const { latencies, parseOwnClient, parseH2load, parseH2loadLog, parseWrk } = await bench('parse');
const { judge } = await bench('verdicts');
const { page, picture } = await bench('report');
const { parseOptions } = await bench('options');
const { unusedPeers } = await bench('bench');

describe('statistics', () => {
  test('the median of an even number of values lies between the two in the middle', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([10, 1, 2, 4])).toBe(3);
  });

  test('a percentile is a value that occurred', () => {
    const values = Array.from({ length: 200 }, (_, index) => index + 1);
    expect(percentile(values, 0.99)).toBe(198);
    expect(percentile(values, 0.5)).toBe(100);
    expect(percentile([7], 0.999)).toBe(7);
  });

  test('a ratio is taken round by round, so a slow minute of both does not count', () => {
    expect(pairedRatio([10, 40, 12], [5, 20, 4])).toEqual({ median: 2, low: 2, high: 3 });
    expect(pairedRatio([10], [0])).toBeNull();
  });
});

describe('figures with an interval', () => {
  test('a percentile of several groups is that of their values together, each as often as it was drawn', () => {
    const groups = [[1, 5, 3], [2], [9, 7]];
    for (const drawn of [
      [0, 1, 2],
      [1, 1, 1],
      [0, 0, 2],
      [2, 1, 2, 0],
    ]) {
      for (const share of [0.01, 0.3, 0.5, 0.9, 0.99, 1]) {
        const together = drawn.flatMap((group) => groups[group] ?? []).toSorted((a, b) => a - b);
        expect(percentileOfGroups(groups, share)(drawn)).toBe(percentile(together, share));
      }
    }
  });

  test('what is the same everywhere is certain', () => {
    expect(withInterval(5, () => 3)).toEqual({ value: 3, low: 3, high: 3 });
  });

  test('the interval of a mean is that of its standard error', () => {
    const values = Array.from({ length: 400 }, (_, index) => (index + 0.5) / 400);
    const mean = (drawn: readonly number[]): number =>
      drawn.reduce((sum, index) => sum + (values[index] ?? 0), 0) / drawn.length;
    const { value, low, high } = withInterval(400, mean);
    // Of even numbers from 0 to 1: 1 / √12 ÷ √400, 1.96 of them on each side.
    const side = 1.96 / Math.sqrt(12 * 400);
    expect(high - value).toBeGreaterThan(0.8 * side);
    expect(high - value).toBeLessThan(1.2 * side);
    expect(value - low).toBeGreaterThan(0.8 * side);
    expect(value - low).toBeLessThan(1.2 * side);
  });
});

describe('what the load programs print', () => {
  const wrk = `Running 1s test @ http://127.0.0.1:8080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.23ms    3.06ms  36.25ms   97.50%
    Req/Sec    57.03k     5.43k   60.79k    99.99%
  Latency Distribution
     50%   98.00us
     75%    1.08ms
     90%    1.21ms
     99%    1.50s
  56671 requests in 1.00s, 8.21MB read
  Socket errors: connect 0, read 3, write 0, timeout 1
  Non-2xx or 3xx responses: 12
Requests/sec:  56459.00
Transfer/sec:      8.18MB
`;

  test('wrk: units, errors of both kinds, and no other line that ends in "50%"', () => {
    expect(parseWrk(wrk)).toEqual({
      requests: 56_671,
      perSecond: 56_459,
      p50Ms: expect.closeTo(0.098),
      p99Ms: 1500,
      errors: 16,
    });
  });

  test('wrk without a single answer is an error', () => {
    expect(() => parseWrk('  0 requests in 1.00s, 0.00B read\n')).toThrow('no answer');
  });

  test('so is a client of our own without one', () => {
    expect(() => parseOwnClient('{"requests":0,"perSecond":0,"errors":32}')).toThrow('no answer');
    expect(parseOwnClient('{"requests":1,"errors":0}')).toEqual({ requests: 1, errors: 0 });
  });

  test('h2load: totals and the log', () => {
    const totals =
      'requests: 9600 total, 9600 started, 9598 done, 9590 succeeded, 10 failed, 2 errored, 0 timeout\n';
    expect(parseH2load(totals)).toEqual({ requests: 9598, errors: 10 });
    const log =
      '1700000000000000\t200\t1500\n1700000000001000\t200\t500\n1700000000002000\t-1\t9\n';
    const requests = parseH2loadLog(log);
    expect(requests).toEqual([
      { startMs: 1_700_000_000_000, ms: 1.5 },
      { startMs: 1_700_000_000_001, ms: 0.5 },
    ]);
    expect(latencies(requests)).toEqual({ p50Ms: 0.5, p99Ms: 1.5, p999Ms: 1.5, maxMs: 1.5 });
  });
});

function rowsOf(ratio: number, errors = 0): object[] {
  return [
    { name: 'fairlead', requests: 1000, errors: 0 },
    { name: 'haproxy', ratio, requests: 1000, errors },
  ];
}

function outcomes(rows: object[]): string[] {
  return judge([{ name: 'small-get', title: 'Small GET', rows }], ['small-get'])
    .filter(({ what }: { what: string }) => what.endsWith('÷ haproxy'))
    .map(({ outcome }: { outcome: string }) => outcome);
}

describe('verdicts', () => {
  test('reached up to the limit as the table shows it, missed above', () => {
    expect(outcomes(rowsOf(1.154))).toEqual(['reached']);
    expect(outcomes(rowsOf(1.16))).toEqual(['missed']);
  });

  test('a peer that is not there, or fails, gives no verdict', () => {
    expect(outcomes([])).toEqual(['not measured']);
    expect(outcomes(rowsOf(1, 2))).toEqual(['too many errors']);
  });

  test('nor does a machine that was busy with something else', () => {
    const [own, peer] = rowsOf(1);
    expect(outcomes([own ?? {}, { ...peer, othersPercent: 30 }])).toEqual(['machine was busy']);
  });

  test('nor does a figure that may as well lie on the other side of the limit', () => {
    const rows = [
      { name: 'a', ratio: 1.03, low95: 0.98, high95: 1.08 },
      { name: 'b', ratio: 1.06, low95: 0.98, high95: 1.14 },
      { name: 'c', ratio: 1.3, low95: 1.2, high95: 1.4 },
    ];
    const verdicts = judge([{ name: 'admin-floods', title: 'Floods', rows }], ['admin-floods']);
    const outcomesOfRows = verdicts.map(({ outcome }: { outcome: string }) => outcome);
    expect(outcomesOfRows).toEqual(['reached', 'not certain', 'missed']);
  });

  test('each strategy is judged among 100 backends, and by its flips among 1,000', () => {
    const strategies = ['a', 'b'].flatMap((strategy) =>
      [3, 100, 1_000].map((backends) => ({
        name: `${strategy}, ${backends}`,
        backends,
        ns: 50,
        bytes: 0,
        flipMs: 0.5,
      })),
    );
    expect(judge([{ name: 'pick', title: 'Pick', rows: strategies }], ['pick'])).toHaveLength(6);
  });
});

test('a page names the missing, shows what does not apply as a dash, and keeps notes on a line', () => {
  const text = page({
    date: '2026-01-01',
    isQuick: true,
    machine: { cpu: 'A CPU', cores: 2, system: 'Linux 6', node: '20.0.0' },
    load: { rounds: 1, seconds: 1, connections: 64 },
    proxies: [{ name: 'fairlead', version: '1.0.0' }],
    missing: [{ name: 'caddy', why: 'not\ninstalled' }],
    verdicts: [],
    scenarios: [
      {
        title: 'Small GET',
        about: 'About.',
        columns: [
          { key: 'name', title: 'proxy' },
          { key: 'ratio', title: 'ratio', digits: 2 },
        ],
        rows: [
          { name: 'fairlead', ratio: null },
          { name: 'go', ratio: 0.333 },
        ],
        notes: [],
      },
    ],
  });
  expect(text).toContain('- caddy: not installed\n');
  expect(text).toContain('| fairlead | – |\n| go | 0.33 |\n');
});

test('the picture has a bar per proxy, the cheapest first, and says all of it in words', () => {
  const svg = picture(
    [
      { name: 'go', cpuUs: 50 },
      { name: 'a<b', cpuUs: 20 },
    ],
    'R&D',
  );
  expect(svg.match(/<rect /g)).toHaveLength(2);
  expect(svg).toContain('>a&lt;b 20.0, go 50.0</desc>');
  expect(svg).toContain('R&amp;D');
});

describe('options', () => {
  const known = {
    scenarios: [{ name: 'one', quickPeers: ['nginx'] }, { name: 'two' }],
    peers: [{ name: 'nginx' }, { name: 'caddy' }],
  };

  test('a quick run takes few; what is named is taken anyway', () => {
    expect(parseOptions(['--quick'], known)).toMatchObject({ only: ['one'], peers: null });
    expect(parseOptions(['--quick', '--only', 'two'], known)).toMatchObject({ only: ['two'] });
    expect(parseOptions([], known)).toMatchObject({ rounds: 5, only: ['one', 'two'] });
  });

  test.each([
    [['--speed'], '--speed'],
    [['extra'], 'extra'],
    [['--only', 'three'], '"three" is none of one, two'],
    [['--peers', 'fairlead'], '"fairlead" is none of nginx, caddy'],
    [['--rounds', '0'], 'not a whole number'],
    [['--seconds', '1.5'], 'not a whole number'],
    [['--publish', '--quick'], '--publish'],
    [['--publish', '--only', 'one'], '--publish'],
    [['--publish', '--peers', 'nginx'], '--publish'],
    [['--publish', '--floods', 'followers'], '--publish'],
    [['--floods', 'rain'], '"rain" is none of wrong-token'],
    [['--publish', '--rounds', '2'], '--rounds 3'],
    [['--publish', '--seconds', '1'], '--seconds 2'],
    [['--publish', '--before-dist', 'dist'], 'not with --before-dist'],
    [['--before', 'HEAD'], '"builds", which is not among the chosen'],
  ])('%j is refused', (argv, message) => {
    expect(() => parseOptions(argv, known)).toThrow(message);
  });

  test('a run of everything with enough rounds may be published', () => {
    const argv = ['--publish', '--rounds', '3', '--seconds', '2'];
    expect(parseOptions(argv, known)).toMatchObject({ isPublished: true });
    expect(parseOptions(['--publish'], known)).toMatchObject({ isPublished: true });
  });

  test('a peer that was named and takes part in no scenario is found', () => {
    const scenarios = [{ peers: ['nginx'] }, { peers: ['nginx', 'go'] }];
    expect(unusedPeers(scenarios, { peers: ['caddy', 'go'] })).toEqual(['caddy']);
    expect(unusedPeers(scenarios, { peers: null })).toEqual([]);
  });
});
