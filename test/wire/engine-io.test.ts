import fc from 'fast-check';
import { expect, test } from 'vitest';
import { asksForHandshake, sessionOfHandshake } from '../../src/data/wire/engine-io.ts';
import { leastCostMs } from '../support/machine-speed.ts';

const REST =
  '"upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000';

test.each([
  // Revision 4.
  [`0{"sid":"lv_VI97HAXpY6yYWAAAC",${REST}}`, 'lv_VI97HAXpY6yYWAAAC'],
  [`0{${REST},"sid":"abc"}`, 'abc'],
  ['0{"sid": "a b/c"}', 'a%20b%2Fc'],
  // Revision 3: with its length, in bytes, and as an argument of JSONP.
  [`96:0{"sid":"Xb1",${REST}}2:40`, 'Xb1'],
  [`\x00\x09\x06\xff0{"sid":"Xb1",${REST}}\x00\x02\xff40`, 'Xb1'],
  [`___eio[0]("96:0{\\"sid\\":\\"Xb1\\",\\"upgrades\\":[]}2:40");`, 'Xb1'],

  ['', null],
  ['2probe', null],
  ['0{"sid":"abc', null],
  ['0{"sid":""}', null],
  ['0{"sid":17}', null],
  ['4{"sid":"abc"}', null],
  ['{"sid":"abc"}', null],
  ['0{}{"sid":"abc"}', null],
  ['{"code":1,"message":"Session ID unknown"}', null],
  [`0{"sid":"${'x'.repeat(257)}"}`, null],
])('%j', (body, expected) => {
  expect(sessionOfHandshake(body)).toBe(expected);
});

test('a body of which a part has come names its session or none, and never another', () => {
  const name = fc.stringMatching(/^[\w-]{1,30}$/);
  fc.assert(
    fc.property(name, fc.nat(100), (sid, length) => {
      const body = `0{"sid":"${sid}",${REST}}`;
      const hasIt = length > '0{"sid":"'.length + sid.length;
      expect(sessionOfHandshake(body.slice(0, length))).toBe(hasIt ? sid : null);
    }),
  );
});

test('a KiB of anything is looked through at once', () => {
  for (const body of ['0{'.repeat(512), `0{${'"sid'.repeat(255)}`, '0{"sid":"'.repeat(113)]) {
    const looks = () => {
      for (let round = 0; round < 100; round++) sessionOfHandshake(body);
    };
    expect(leastCostMs(looks, 1_000)).toBeLessThan(1_000);
  }
});

test.each([
  ['/socket.io/?EIO=4&transport=polling', true],
  ['/socket.io/?EIO=4&transport=polling&t=abc', true],
  ['/any/path?transport=polling&EIO=3', true],
  ['/socket.io/?EIO=4&transport=websocket', false],
  ['/socket.io/?transport=polling', false],
  ['/socket.io/', false],
  ['*', false],
])('%s', (path, expected) => {
  expect(asksForHandshake(path)).toBe(expected);
});
