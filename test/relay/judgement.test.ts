/** What an attempt says to the strategy: that it began, and once that it is over, whatever became of it. */
import { expect, test } from 'vitest';
import type { Backend } from '../../src/data/backend/backend.ts';
import type { Policies } from '../../src/data/pool/policies.ts';
import type { PoolView } from '../../src/data/pool/pool-view.ts';
import { Attempt, type AttemptOwner } from '../../src/data/relay/attempt.ts';
import type { DataContext } from '../../src/data/relay/context.ts';
import type { IncomingRequest } from '../../src/data/relay/incoming-request.ts';
import { Judgement } from '../../src/data/relay/judgement.ts';

function judged() {
  const said: string[] = [];
  const view = {
    strategy: {
      onStart: () => said.push('start'),
      onFinish: () => said.push('finish'),
      onCalledOff: () => said.push('called off'),
    },
    spec: { faults: { slowCallMs: 0, consecutiveFailures: 0, consecutive5xx: 0 } },
  } as unknown as PoolView;
  const counters = new Proxy({}, { get: () => () => 1 });
  const backend = { id: 1, counters, acquire: () => ({}) } as unknown as Backend;
  const judgement = new Judgement({ post: () => {} } as unknown as DataContext, view, backend, 0);
  return { judgement, said, view, backend };
}

test('an attempt that an exception has ended is waited for no more', () => {
  const { view, backend, said } = judged();
  const owner = { context: { deadlines: { at: () => 0 } } } as unknown as AttemptOwner;
  const attempt = new Attempt(owner, view, backend, {} as Policies, 0);
  attempt.giveUp();
  expect(
    attempt.begin(false, { facts: {}, pin: { ends: null }, trace: null } as IncomingRequest),
  ).toBeNull();
  attempt.giveUp();
  attempt.giveUp();
  expect(said).toEqual(['start', 'called off']);
});

test('one that has its answer, or has ended, was not waited for any more', () => {
  const answered = judged();
  answered.judgement.begin();
  answered.judgement.isAllSent = true;
  answered.judgement.headCame(200, 1);
  answered.judgement.abandon();
  expect(answered.said).toEqual(['start', 'finish']);

  const failed = judged();
  failed.judgement.begin();
  failed.judgement.end('ERR_BACKEND_CLOSED', false, false, 1);
  failed.judgement.abandon();
  expect(failed.said).toEqual(['start', 'finish']);
});

function counted(statusOfCall: number, lastsMs: number): string[] {
  const said: string[] = [];
  const count = (_target: object, name: string | symbol) => () => {
    said.push(String(name));
    return 1;
  };
  const backend = { id: 1, counters: new Proxy({}, { get: count }) } as unknown as Backend;
  const context = { post: () => {}, deadlines: { now: () => lastsMs } } as unknown as DataContext;
  const judgement = new Judgement(context, judged().view, backend, 0);
  judgement.begin();
  judgement.isAllSent = true;
  judgement.headCame(200, 1);
  judgement.goesOn(lastsMs);
  judgement.callEnded(statusOfCall);
  judgement.end(null, false, false, lastsMs);
  return said.filter((name) => name === 'wentWell' || name === 'wentBadly');
}

test.each([
  [0, 'wentWell'],
  [1, 'wentWell'],
  [2, 'wentBadly'],
  [4, 'wentWell'],
  [5, 'wentWell'],
  [8, 'wentWell'],
  [12, 'wentWell'],
  [13, 'wentBadly'],
  [14, 'wentBadly'],
  [15, 'wentBadly'],
  [16, 'wentWell'],
])('a call that ends with the status %i: %s', (status, verdict) => {
  expect(counted(status, 5)).toEqual([verdict]);
});

test('a call that has lasted counts as good, and as a fault once it ends as one', () => {
  expect(counted(14, 5_000)).toEqual(['wentWell', 'wentBadly']);
});
