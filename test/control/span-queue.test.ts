/** Spans on their way to a collector: in batches, one at a time, within a bound; what is lost is counted. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
  type SpanCounts,
  type SpanExporter,
  SpanQueue,
} from '../../src/control/tracing/span-queue.ts';
import type { Span } from '../../src/observe/spans.ts';
import { recordLog } from './fixtures.ts';

const BATCH = 512;
const ROOM = 8192;
const DONE = { code: 0 };
const FAILED = { code: 1, error: new Error('it is full') };

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

type Done = Parameters<SpanExporter['export']>[1];

/** A collector that answers when it is told to. */
class Collector implements SpanExporter {
  readonly batches: (readonly Span[])[] = [];
  #done: Done[] = [];
  isShut = false;

  export(spans: readonly Span[], done: Done): void {
    this.batches.push(spans);
    this.#done.push(done);
  }

  get sizes(): number[] {
    return this.batches.map(({ length }) => length);
  }

  get isAsked(): boolean {
    return this.#done.length > 0;
  }

  async answers(result = DONE): Promise<void> {
    const done = this.#done.shift();
    if (done === undefined) throw new Error('nobody has asked');
    done(result);
    await settled();
  }

  async shutdown(): Promise<void> {
    this.isShut = true;
  }
}

/** Whatever goes on at once has gone on. */
async function settled(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
}

/** They differ in nothing but their names. */
function named(count: number, from = 0): Span[] {
  return Array.from({ length: count }, (_, index) => ({ name: `${from + index}` }) as Span);
}

function setUp(exporter?: Promise<SpanExporter | null>) {
  const collector = new Collector();
  const counts: SpanCounts = { exported: 0, dropped: 0, failed: 0 };
  const log = recordLog();
  const queue = new SpanQueue(exporter ?? Promise.resolve(collector), counts, log);
  return { collector, counts, log, queue };
}

test('a batch that is not full waits a second for more', async () => {
  const { collector, counts, queue } = setUp();
  queue.add(named(1));
  await vi.advanceTimersByTimeAsync(600);
  queue.add(named(2, 1));
  await vi.advanceTimersByTimeAsync(399);
  expect(collector.sizes).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(collector.batches.flat().map(({ name }) => name)).toEqual(['0', '1', '2']);
  expect(counts).toEqual({ exported: 0, dropped: 0, failed: 0 });
  await collector.answers();
  expect(counts).toEqual({ exported: 3, dropped: 0, failed: 0 });
  await vi.advanceTimersByTimeAsync(5_000);
  expect(collector.sizes).toEqual([3]);
});

test('a full one leaves at once; one at a time is on its way, and the rest waits for more', async () => {
  const { collector, counts, queue } = setUp();
  queue.add(named(2 * BATCH + 10));
  await settled();
  expect(collector.sizes).toEqual([BATCH]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(collector.sizes).toEqual([BATCH]);
  await collector.answers();
  expect(collector.sizes).toEqual([BATCH, BATCH]);
  await collector.answers();
  expect(collector.sizes).toEqual([BATCH, BATCH]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(collector.sizes).toEqual([BATCH, BATCH, 10]);
  await collector.answers();
  expect(counts.exported).toBe(2 * BATCH + 10);
});

test('what there is no room for is dropped, the newest, and counted', async () => {
  const { collector, counts, queue } = setUp();
  queue.add(named(BATCH));
  await settled();
  expect(collector.isAsked).toBe(true);
  queue.add(named(ROOM + 5));
  queue.add(named(1));
  expect(counts.dropped).toBe(6);
  while (collector.isAsked) await collector.answers();
  expect(counts).toEqual({ exported: BATCH + ROOM, dropped: 6, failed: 0 });
});

test('what the collector does not take is lost and counted, and told once a minute', async () => {
  const { collector, counts, log, queue } = setUp();
  const refused = async (): Promise<void> => {
    queue.add(named(2));
    await vi.advanceTimersByTimeAsync(1_000);
    await collector.answers(FAILED);
  };
  await refused();
  await refused();
  expect(counts).toEqual({ exported: 0, dropped: 0, failed: 4 });
  const told = () => log.lines.filter(({ event }) => event === 'tracing.failed');
  expect(told().map(({ message, fields }) => [message, fields['spans']])).toEqual([
    [expect.stringContaining('it is full'), 2],
  ]);
  await vi.advanceTimersByTimeAsync(60_000);
  await refused();
  expect(told().length).toBe(2);
});

test('where there is no exporter, all of them are dropped', async () => {
  const { counts, queue } = setUp(Promise.resolve(null));
  queue.add(named(BATCH + 1));
  await settled();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(counts).toEqual({ exported: 0, dropped: BATCH + 1, failed: 0 });
});

test('at the end, all that waits is exported, and the exporter shut', async () => {
  const { collector, counts, queue } = setUp();
  queue.add(named(BATCH + 1));
  await settled();
  const closed = vi.fn<() => void>();
  const closing = queue.close(2_000).finally(closed);
  await collector.answers();
  expect(collector.sizes).toEqual([BATCH, 1]);
  expect(closed).not.toHaveBeenCalled();
  await collector.answers();
  await closing;
  expect([counts, collector.isShut]).toEqual([
    { exported: BATCH + 1, dropped: 0, failed: 0 },
    true,
  ]);
  expect(vi.getTimerCount()).toBe(0);
});

test('a collector that hangs holds up the end until the deadline, and what waits is lost', async () => {
  const { collector, counts, queue } = setUp();
  queue.add(named(BATCH));
  await settled();
  queue.add(named(3));
  const closed = vi.fn<() => void>();
  const closing = queue.close(2_000).finally(closed);
  await vi.advanceTimersByTimeAsync(1_999);
  expect(closed).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  await closing;
  expect(collector.sizes).toEqual([BATCH]);
  expect(counts.dropped).toBe(3);
});

test('an exporter that can’t be shut is no reason to fail', async () => {
  const { collector, queue } = setUp();
  collector.shutdown = () => Promise.reject(new Error('no'));
  await expect(queue.close(2_000)).resolves.toBeUndefined();
  const never = setUp(new Promise(() => {}));
  const closing = never.queue.close(2_000);
  await vi.advanceTimersByTimeAsync(2_000);
  await expect(closing).resolves.toBeUndefined();
});
