import { expect, test } from 'vitest';
import { Lookups, type LookupUser } from '../../src/data/stream/lookups.ts';
import type { Address } from '../../src/net/addresses.ts';

type Answer = (error: Error | null, addresses: readonly Address[]) => void;

/** A resolver that answers when the test says so, and a clock that stands. */
class Stage {
  nowMs = 1_000;
  readonly asked: { readonly host: string; readonly answer: Answer }[] = [];
  readonly events: string[] = [];
  readonly lookups = new Lookups(
    () => this.nowMs,
    (host, answer) => this.asked.push({ host, answer }),
  );

  constructor() {
    this.lookups.listener = {
      onMoved: (host, addresses) => this.events.push(`${host} moved to ${[...addresses].join()}`),
      onRefreshFailed: (host, error) => this.events.push(`${host}: ${error.message}`),
    };
  }

  /** @returns what is known at once, or nothing; what is told later is among the events. */
  find(host = 'a.test'): string {
    const user: LookupUser = {
      onAddresses: (addresses) => this.events.push(`told ${names(addresses)}`),
      onLookupFailed: ({ message }) => this.events.push(`failed ${message}`),
    };
    return names(this.lookups.find(host, user) ?? []);
  }

  answer(...addresses: readonly string[]): void {
    const all = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    this.asked.at(-1)?.answer(null, all);
  }

  fail(message: string): void {
    this.asked.at(-1)?.answer(new Error(message), []);
  }

  taken(): string[] {
    return this.events.splice(0);
  }
}

function names(addresses: readonly Address[]): string {
  return addresses.map(({ address }) => address).join();
}

function later(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('all who wait share one lookup, and who comes within five seconds needs none', () => {
  const stage = new Stage();
  for (let user = 0; user < 3; user++) expect(stage.find()).toBe('');
  stage.answer('::1', '127.0.0.1');
  expect(stage.taken()).toEqual(Array(3).fill('told ::1,127.0.0.1'));
  stage.nowMs += 4_999;
  expect(stage.find()).toBe('::1,127.0.0.1');
  expect(stage.asked.length).toBe(1);
});

test('an answer that is older is used at once, and renewed once meanwhile', () => {
  const stage = new Stage();
  stage.find();
  stage.answer('10.0.0.1');
  stage.nowMs += 5_000;
  expect([stage.find(), stage.find()]).toEqual(['10.0.0.1', '10.0.0.1']);
  expect(stage.asked.length).toBe(2);
  stage.taken();
  stage.answer('10.0.0.2');
  expect(stage.taken()).toEqual(['a.test moved to 10.0.0.2']);
  expect(stage.find()).toBe('10.0.0.2');
  expect(stage.lookups.mayBe('a.test', '10.0.0.1')).toBe(false);
});

test('a name that has one more address has not moved', () => {
  const stage = new Stage();
  stage.find();
  stage.answer('10.0.0.1');
  stage.nowMs += 5_000;
  stage.lookups.refresh('a.test');
  stage.taken();
  stage.answer('10.0.0.2', '10.0.0.1');
  expect(stage.taken()).toEqual([]);
});

test('what can not be renewed is used for five minutes, and told of once', () => {
  const stage = new Stage();
  stage.find();
  stage.answer('10.0.0.1');
  stage.taken();
  for (let seconds = 5; seconds < 300; seconds += 5) {
    stage.nowMs += 5_000;
    expect(stage.find()).toBe('10.0.0.1');
    stage.fail('no answer');
  }
  expect(stage.taken()).toEqual(['a.test: no answer']);
  expect(stage.asked.length).toBe(60);
  stage.nowMs += 5_000;
  expect(stage.find()).toBe('');
  stage.fail('no answer');
  expect(stage.taken()).toEqual(['failed no answer']);
  stage.nowMs += 1_000;
  stage.find();
  stage.answer('10.0.0.1');
  expect(stage.taken()).toEqual(['told 10.0.0.1']);
});

test('a first error stands for a second', async () => {
  const stage = new Stage();
  stage.find();
  stage.fail('not found');
  stage.nowMs += 999;
  stage.find();
  // Never from within the call.
  expect(stage.taken()).toEqual(['failed not found']);
  await later();
  expect(stage.taken()).toEqual(['failed not found']);
  expect(stage.asked.length).toBe(1);
  stage.nowMs++;
  stage.find();
  expect(stage.asked.length).toBe(2);
});

test('one name is renewed at a time, and who waits does not wait for that', () => {
  const stage = new Stage();
  for (const host of ['a.test', 'b.test']) {
    stage.find(host);
    stage.answer('10.0.0.1');
  }
  stage.nowMs += 5_000;
  stage.lookups.refresh('a.test');
  stage.lookups.refresh('b.test');
  stage.find('c.test');
  expect(stage.asked.map(({ host }) => host)).toEqual(['a.test', 'b.test', 'a.test', 'c.test']);
  stage.asked[2]?.answer(null, [{ address: '10.0.0.1', family: 4 }]);
  stage.lookups.refresh('b.test');
  expect(stage.asked.at(-1)?.host).toBe('b.test');
});

test('the families take turns, and each address comes once', () => {
  const stage = new Stage();
  stage.find();
  stage.answer('::1', '::2', '::1', '::3', '10.0.0.1');
  expect(stage.taken()).toEqual(['told ::1,10.0.0.1,::2,::3']);
});

test('who has called off is not told, and names that no backend has are forgotten', () => {
  const stage = new Stage();
  const user: LookupUser = {
    onAddresses: () => stage.events.push('told'),
    onLookupFailed: () => stage.events.push('failed'),
  };
  stage.lookups.find('a.test', user);
  stage.lookups.callOff('a.test', user);
  stage.answer('10.0.0.1');
  expect(stage.taken()).toEqual([]);
  stage.lookups.keepOnly(new Set());
  expect(stage.find()).toBe('');
  expect(stage.asked.length).toBe(2);
});
