import { expect, test } from 'vitest';
import { TlsSessions } from '../../src/data/stream/tls-sessions.ts';

const bytes = (text: string): Buffer => Buffer.from(text);

test('a ticket of TLS 1.3 is taken once, the latest first', () => {
  const sessions = new TlsSessions();
  sessions.keep('a:443', bytes('one'), true);
  sessions.keep('a:443', bytes('two'), true);
  expect(String(sessions.take('a:443'))).toBe('two');
  expect(String(sessions.take('a:443'))).toBe('one');
  expect(sessions.take('a:443')).toBeUndefined();
});

test('one that was good is taken again, once there is none that was not used', () => {
  const sessions = new TlsSessions();
  sessions.keep('a:443', bytes('one'), true);
  sessions.keep('a:443', bytes('two'), true);
  sessions.giveBack('a:443', sessions.take('a:443') as Buffer);
  expect(String(sessions.take('a:443'))).toBe('one');
  expect(String(sessions.take('a:443'))).toBe('two');
  // It has not proved good this time.
  expect(sessions.take('a:443')).toBeUndefined();
  sessions.giveBack('a:443', bytes('two'));
  expect(String(sessions.take('a:443'))).toBe('two');
});

test('a session of TLS 1.2 is taken again and again, until there is another', () => {
  const sessions = new TlsSessions();
  sessions.keep('a:443', bytes('one'), false);
  expect(String(sessions.take('a:443'))).toBe('one');
  expect(String(sessions.take('a:443'))).toBe('one');
  sessions.keep('a:443', bytes('two'), false);
  expect(String(sessions.take('a:443'))).toBe('two');
});

test('what was verified for one backend is not shown to another', () => {
  const sessions = new TlsSessions();
  sessions.keep('a:443', bytes('one'), false);
  expect(sessions.take('a:444')).toBeUndefined();
  expect(sessions.take('b:443')).toBeUndefined();
  sessions.forget('a:443');
  expect(sessions.take('a:443')).toBeUndefined();
});

test('there is an end to how many are kept', () => {
  const sessions = new TlsSessions();
  for (let index = 0; index < 100; index++) sessions.keep('a:443', bytes(String(index)), true);
  const taken: string[] = [];
  for (let one = sessions.take('a:443'); one !== undefined; one = sessions.take('a:443')) {
    taken.push(String(one));
  }
  expect(taken).toEqual(['99', '98', '97', '96', '95', '94', '93', '92']);
  for (let index = 0; index < 100; index++) sessions.giveBack('b:443', bytes(String(index)));
  expect(Array.from({ length: 9 }, () => sessions.take('b:443')).filter(Boolean)).toHaveLength(8);
  for (let index = 0; index < 1_001; index++) sessions.keep(`${index}:443`, bytes('x'), false);
  expect(sessions.take('0:443')).toBeUndefined();
  expect(sessions.take('1000:443')).toBeDefined();
});
