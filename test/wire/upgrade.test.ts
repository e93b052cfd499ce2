import { expect, test } from 'vitest';
import { isAnswerTo, isWebSocket } from '../../src/data/wire/upgrade.ts';

test.each([
  ['websocket', 'websocket', true],
  ['websocket', 'WebSocket', true],
  ['tcp, websocket', 'websocket', true],
  ['tcp, websocket', 'tcp', true],
  ['tcp', 'tcp, websocket', false],
  ['tcp', 'h2c', false],
  ['tcp', 'tcp, h2c', false],
  ['tcp', '', false],
  ['tcp', ' , ', false],
  ['tls/1.0', 'tls', false],
  ['', '', false],
  ['', 'websocket', false],
])('asked for %j, a 101 to %j is an answer: %s', (asked, list, isAnswer) => {
  expect(isAnswerTo(asked, list)).toBe(isAnswer);
});

test('WebSocket is that and nothing beside it', () => {
  expect(['websocket', 'WebSocket', 'tcp', 'websocket, tcp', ''].map(isWebSocket)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});
