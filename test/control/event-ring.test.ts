import { expect, test } from 'vitest';
import { EventRing } from '../../src/control/events/event-ring.ts';

function line(event: string, more: Readonly<Record<string, unknown>> = {}): string {
  return `${JSON.stringify({ level: 'info', time: 'then', event, ...more })}\n`;
}

test('ids go up by one, and above those of a process that ran before', () => {
  const before = new EventRing({ startedAtMs: 1_700_000_000_000 });
  for (let count = 0; count < 3000; count++) before.record('a.b', line('a.b'));
  const after = new EventRing({ startedAtMs: 1_700_000_000_004 });
  after.record('a.b', line('a.b'));
  expect(before.last - before.zero).toBe(3000);
  expect(after.last).toBe(after.zero + 1);
  expect(after.last).toBeGreaterThan(before.last);
  expect(Number.isSafeInteger(after.last * 4)).toBe(true);
});

test('an event is its line of the log', () => {
  const ring = new EventRing({ startedAtMs: 1 });
  ring.record('backend.up', line('backend.up', { msg: 'is UP' }));
  expect(String(ring.get(1001)?.bytes)).toBe(
    'id: 1001\nevent: backend.up\ndata: {"level":"info","time":"then","event":"backend.up","msg":"is UP"}\n\n',
  );
  expect(ring.get(1000)).toBeUndefined();
  expect(ring.get(1002)).toBeUndefined();
});

test('it keeps so many, and so many bytes', () => {
  const few = new EventRing({ startedAtMs: 0, mostEvents: 3 });
  for (let count = 0; count < 10; count++) few.record('a.b', line('a.b', { count }));
  expect([few.oldest, few.last]).toEqual([8, 10]);
  expect(String(few.get(8)?.bytes)).toContain('"count":7');
  expect(few.get(7)).toBeUndefined();

  const small = new EventRing({ startedAtMs: 0, mostBytes: 1000 });
  for (let count = 0; count < 10; count++)
    small.record('a.b', line('a.b', { msg: 'x'.repeat(200) }));
  expect([small.oldest, small.last]).toEqual([8, 10]);
});

test('of one that says more than anybody reads, the beginning is kept', () => {
  const ring = new EventRing({ startedAtMs: 0 });
  const problems = Array.from({ length: 2000 }, () => 'a problem with a key');
  ring.record(
    'config.refused',
    line('config.refused', { msg: 'é'.repeat(5000), by: 'watch', problems }),
  );
  const bytes = ring.get(1)?.bytes ?? Buffer.alloc(0);
  expect(bytes.length).toBeLessThan(4000);
  const data = JSON.parse(/^data: (.*)$/m.exec(String(bytes))?.[1] ?? '') as object;
  expect(data).toEqual({
    level: 'info',
    time: 'then',
    event: 'config.refused',
    by: 'watch',
    cut: true,
    msg: 'é'.repeat(1000),
  });
});
