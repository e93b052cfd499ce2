/** The judge of the hostile mix: what an exchange must not come to is seen, and what it may come to is not held against it. */
import { expect, test } from 'vitest';

// Plain modules without declarations: named at run time, so that the compiler does not look for any.
const bench = async (name: string) =>
  import(new URL(`../../bench/resilience/mix/${name}.mjs`, import.meta.url).href);
const { judge } = (await bench('judge')) as {
  judge(plan: object, visit: object, attempts: object[], ends: number[]): string;
};
const { Compared, drawPlan } = (await bench('plan')) as {
  Compared: new (bytes: Buffer) => { push(part: Buffer): void; isWrong: boolean; isWhole: boolean };
  drawPlan(seed: number, index: number): { request: { bytes: Buffer }; path: string };
};

const PLAN = {
  client: 'node',
  mayRepeat: true,
  request: { length: 10 },
  answer: { interim: 0, after: 10 },
};
const WHOLE = {
  end: 'whole',
  status: 200,
  code: '',
  interim: 0,
  isWhole: true,
  isWrong: false,
  hasSentAll: true,
  hasLeft: false,
  beganMs: 1000,
  endedMs: 2000,
};
const SEEN = { failed: '', isWhole: true, isWrong: false, hasAnswered: true };
const FAILED = { failed: 'before', isWhole: true, isWrong: false, hasAnswered: false };
const CUT = { ...WHOLE, end: 'reset', isWhole: false };
const REFUSED = { ...WHOLE, status: 502, code: 'ERR_BACKEND_RESET', isWhole: false };

test.each([
  ['what went well', {}, WHOLE, [SEEN], []],
  ['a second attempt', {}, WHOLE, [FAILED, SEEN], []],
  ['an answer that its backend cut', {}, CUT, [{ ...SEEN, failed: 'during' }], []],
  ['a client that has left', {}, { ...CUT, hasLeft: true }, [SEEN], []],
  ['a failure that may not be repeated', { mayRepeat: false }, REFUSED, [FAILED], []],
  ['two failures of two backends', {}, REFUSED, [FAILED, FAILED], []],
  ['a connection that ended for another exchange', { mayRepeat: false }, REFUSED, [], [1500]],
])('%s is in order', (_, plan, visit, attempts, ends) => {
  expect(judge({ ...PLAN, ...plan }, visit, attempts, ends)).toBe('');
});

test.each([
  ['a wrong byte of the answer', {}, { ...WHOLE, isWrong: true }, [SEEN]],
  ['a wrong byte of the request', {}, WHOLE, [{ ...SEEN, isWrong: true }]],
  ['a short answer that passes for whole', {}, { ...WHOLE, isWhole: false }, [SEEN]],
  ['a short request that passes for whole', {}, WHOLE, [{ ...SEEN, isShort: true }]],
  ['a request whose client had not sent it', {}, { ...WHOLE, hasSentAll: false }, [SEEN]],
  ['a POST that was sent twice', { mayRepeat: false }, WHOLE, [FAILED, SEEN]],
  ['an answer that was cut by nobody', {}, CUT, [SEEN]],
  ['an answer that nobody gave', {}, WHOLE, [FAILED]],
  ['a 502 while another backend was left', {}, REFUSED, [FAILED]],
  ['a 502 that nobody has caused', { mayRepeat: false }, REFUSED, [SEEN]],
  ['an exchange without an end', {}, { ...CUT, end: 'stuck' }, [SEEN]],
])('%s is not', (_, plan, visit, attempts) => {
  expect(judge({ ...PLAN, ...plan }, visit, attempts, [])).not.toBe('');
});

test('an exchange is drawn from its seed and its number alone', () => {
  expect(drawPlan(1, 7)).toEqual(drawPlan(1, 7));
  expect(drawPlan(2, 7)).not.toEqual(drawPlan(1, 7));
  expect(drawPlan(1, 8).path).not.toBe(drawPlan(1, 7).path);
});

test('a byte at another place is a wrong one', () => {
  const compared = new Compared(Buffer.from('abcdef'));
  compared.push(Buffer.from('abc'));
  expect(compared).toMatchObject({ isWrong: false, isWhole: false });
  compared.push(Buffer.from('def'));
  expect(compared).toMatchObject({ isWrong: false, isWhole: true });
  compared.push(Buffer.from('g'));
  expect(compared.isWrong).toBe(true);
  const swapped = new Compared(Buffer.from('abcdef'));
  swapped.push(Buffer.from('acb'));
  expect(swapped.isWrong).toBe(true);
});
