import { describe, expect, it } from 'vitest';
import { CallRates } from '../../src/control/admin/call-rates.ts';
import type { ProblemError } from '../../src/control/admin/problem.ts';
import { running } from './running.ts';

function counted(rates: { reads: number; writes: number } | null) {
  let nowMs = 0;
  const the = new CallRates({ rates: () => rates, now: () => nowMs });
  /** How many of so many are let through, and what the first of the others is told. */
  const take = (count: number, caller: string, isChange: boolean): [number, string | undefined] => {
    for (let taken = 0; taken < count; taken++) {
      try {
        the.take(caller, isChange);
      } catch (error) {
        return [taken, (error as ProblemError).headers['Retry-After']];
      }
    }
    return [count, undefined];
  };
  return {
    take,
    pass: (ms: number): void => {
      nowMs += ms;
    },
  };
}

describe('calls of one caller', () => {
  it('are bounded, those that read apart from those that change something, and nobody else notices', () => {
    const { take, pass } = counted({ reads: 5, writes: 1 });
    expect(take(100, 'a', false)).toEqual([50, '1']);
    expect(take(100, 'a', true)).toEqual([10, '1']);
    expect(take(50, 'b', false)).toEqual([50, undefined]);
    pass(1000);
    expect(take(100, 'a', false)).toEqual([5, '1']);
    expect(take(100, 'a', true)).toEqual([1, '1']);
    pass(3_600_000);
    expect(take(100, 'a', false)).toEqual([50, '1']);
  });

  it('are not, where the config says so', () => {
    expect(counted(null).take(5000, 'a', true)).toEqual([5000, undefined]);
  });

  it('are remembered of so many callers', () => {
    const { take } = counted({ reads: 1, writes: 1 });
    take(10, 'first', false);
    expect(take(1, 'first', false)).toEqual([0, '1']);
    for (let one = 0; one < 4096; one++) take(1, `caller ${one}`, false);
    expect(take(1, 'first', false)).toEqual([1, undefined]);
  });

  it('are refused with 429 at the API, where probes are answered all the same', async () => {
    const { call } = await running({
      admin: {
        host: '127.0.0.1',
        port: 0,
        token: undefined,
        tokens: null,
        rates: { reads: 1, writes: 1 },
        isOff: false,
        unix: null,
        tls: undefined,
      },
    });
    const of = async (path: string, count: number): Promise<number[]> => {
      const answers = await Promise.all(Array.from({ length: count }, () => call('GET', path)));
      return answers.map(({ status }) => status);
    };
    expect((await of('/status', 30)).filter((status) => status === 429).length).toBeGreaterThan(0);
    // It takes nothing from the others, the probes least of all.
    expect(await of('/livez', 20)).toEqual(Array.from({ length: 20 }, () => 200));
    expect((await call('PUT', '/strategy', { strategy: 'ip-hash' })).status).toBe(200);
    const refused = (
      await Promise.all(Array.from({ length: 20 }, () => call('GET', '/status')))
    ).find(({ status }) => status === 429);
    expect(refused?.headers['retry-after']).toBe('1');
    expect(refused?.json).toMatchObject({ code: 'ERR_TOO_MANY_CALLS' });
  });
});
