import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EventText } from '../../src/dashboard/data/event-text.ts';

const TEXT = [
  'retry: 1000\nid: 4\n\n',
  'id: 5\nevent: backend.down\ndata: {"msg":"a: b"}\n\n',
  ': alive\n\n',
  'id: 6\nevent: backend.up\ndata: one\ndata:two\n\n',
].join('');

test('events are the same in whatever pieces they come', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(TEXT.length)), (cuts) => {
      const text = new EventText();
      const places = [0, ...cuts.toSorted((one, other) => one - other), TEXT.length];
      const events = places
        .slice(1)
        .flatMap((end, index) => text.take(TEXT.slice(places[index], end)));
      expect(events).toEqual([
        { id: '5', event: 'backend.down', data: '{"msg":"a: b"}' },
        { id: '6', event: 'backend.up', data: 'one\ntwo' },
      ]);
      expect(text.lastId).toBe('6');
    }),
  );
});

test('what never ends is no event', () => {
  const text = new EventText();
  expect(() => {
    for (let part = 0; part < 20; part++) text.take('x'.repeat(100_000));
  }).toThrow('an event without an end');
});
