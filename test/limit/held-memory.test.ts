import { describe, expect, test } from 'vitest';
import { HeldMemory, type Holder } from '../../src/data/limit/held-memory.ts';
import type { FromDataThread } from '../../src/snapshot/messages.ts';
import { createProcessCounters } from '../../src/snapshot/process-cells.ts';
import { ProcessCounters } from '../../src/snapshot/process-counters.ts';
import { giveBackProcessShare, readProcessCounters } from '../../src/snapshot/process-totals.ts';

const KIB = 1024;

class FakeHolder implements Holder {
  heldBytes: number;
  isCut = false;
  readonly #throws: boolean;

  constructor(kib: number, throws = false) {
    this.heldBytes = kib * KIB;
    this.#throws = throws;
  }

  cutForMemory(): void {
    this.isCut = true;
    this.heldBytes = 0;
    if (this.#throws) throw new Error('thrown');
  }

  onCrashed(): void {}
}

function threads(count: number, limitKib: number) {
  const buffer = createProcessCounters(count);
  const messages: FromDataThread[] = [];
  let nowMs = 0;
  const memories = Array.from({ length: count }, (_, index) => {
    const counters = new ProcessCounters(buffer, index, count);
    const memory = new HeldMemory(
      counters,
      count,
      (message) => messages.push(message),
      () => nowMs,
    );
    memory.setLimit(limitKib * KIB);
    return memory;
  });
  return {
    buffer,
    memories,
    messages,
    later: (ms: number) => {
      nowMs += ms;
    },
    held: () => readProcessCounters(buffer, count).heldBytes / KIB,
  };
}

const cutOnes = (holders: readonly FakeHolder[]): number[] =>
  holders.flatMap(({ isCut }, index) => (isCut ? [index] : []));

describe('what waits in memory', () => {
  test('up to the limit nobody is cut', () => {
    const { memories, held } = threads(1, 100);
    const holders = [new FakeHolder(60), new FakeHolder(40), new FakeHolder(0)];
    memories[0]?.watch(() => holders);
    memories[0]?.weigh();
    expect(cutOnes(holders)).toEqual([]);
    expect(held()).toBe(100);
  });

  test('a thread that is alone holds the most, whatever is rounded', () => {
    const { memories } = threads(1, 100);
    const holders = [60.3, 50.4].map((kib) => new FakeHolder(kib));
    memories[0]?.watch(() => holders);
    memories[0]?.weigh();
    expect(cutOnes(holders)).toEqual([0]);
  });

  test('above it the largest are, until it is kept', () => {
    const { memories, held } = threads(1, 100);
    const holders = [10, 50, 20, 40, 0].map((kib) => new FakeHolder(kib));
    memories[0]?.watch(() => holders);
    memories[0]?.weigh();
    expect(cutOnes(holders)).toEqual([1]);
    expect(held()).toBe(70);
    memories[0]?.weigh();
    expect(cutOnes(holders)).toEqual([1]);
  });

  test('one whose end throws is no reason to keep the others', () => {
    const { memories } = threads(1, 30);
    const holders = [new FakeHolder(50, true), new FakeHolder(40), new FakeHolder(10)];
    memories[0]?.watch(() => holders);
    memories[0]?.weigh();
    expect(cutOnes(holders)).toEqual([0, 1]);
  });

  test('the limit is over all threads, and the one that holds the most cuts', () => {
    const { memories, buffer, held } = threads(2, 100);
    const few = [new FakeHolder(30)];
    const many = [new FakeHolder(40), new FakeHolder(50)];
    memories[0]?.watch(() => few);
    memories[1]?.watch(() => many);
    memories[1]?.weigh();
    memories[0]?.weigh();
    expect(cutOnes([...few, ...many])).toEqual([]);
    memories[1]?.weigh();
    expect([cutOnes(few), cutOnes(many)]).toEqual([[], [1]]);
    expect(held()).toBe(70);
    giveBackProcessShare(buffer, 1);
    expect(held()).toBe(30);
  });

  test('0 is no limit', () => {
    const { memories, held } = threads(1, 0);
    const holders = [new FakeHolder(1_000_000)];
    memories[0]?.watch(() => holders);
    memories[0]?.weigh();
    expect([cutOnes(holders), held()]).toEqual([[], 1_000_000]);
  });

  test('between two ticks, many that are paused have all weighed', async () => {
    const { memories } = threads(1, 64 * 1024);
    const holders = [new FakeHolder(70 * 1024)];
    memories[0]?.watch(() => holders);
    for (let count = 0; count < 8; count++) memories[0]?.paused();
    await new Promise(process.nextTick);
    expect(cutOnes(holders)).toEqual([]);
    memories[0]?.paused();
    expect(cutOnes(holders)).toEqual([]);
    await new Promise(process.nextTick);
    expect(cutOnes(holders)).toEqual([0]);
  });

  test('the log is told once a minute, of all', () => {
    const { memories, messages, later } = threads(1, 10);
    let holders = [new FakeHolder(20), new FakeHolder(20)];
    memories[0]?.watch(() => holders);
    memories[0]?.weigh();
    for (let second = 0; second < 59; second++) {
      later(1_000);
      holders = [new FakeHolder(20)];
      memories[0]?.weigh();
    }
    later(1_000);
    holders = [];
    memories[0]?.weigh();
    later(120_000);
    memories[0]?.weigh();
    expect(messages).toEqual([
      expect.objectContaining({ level: 'warn', event: 'memory.limited', fields: { cut: 2 } }),
      expect.objectContaining({ event: 'memory.limited', fields: { cut: 59 } }),
    ]);
  });
});
