import { expect, test } from 'vitest';
import {
  isHostFieldValue,
  isLoopback,
  parseCidr,
  parseListenHost,
} from '../../src/config/values/network-address.ts';

test.each([
  ['127.0.0.1', true],
  ['127.8.9.10', true],
  ['localhost', true],
  ['LOCALHOST', true],
  ['::1', true],
  ['0:0:0:0:0:0:0:1', true],
  ['0.0.0.0', false],
  ['::', false],
  ['127.example.com', false],
  ['10.0.0.1', false],
  ['localhost.example.com', false],
])('%s is loopback: %s', (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});

test.each([
  ['10.0.0.0/8', '10.0.0.0/8'],
  ['10.1.2.3', '10.1.2.3/32'],
  ['::1', '::1/128'],
  ['fd00::/8', 'fd00::/8'],
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['10.0.0.0/33', undefined],
  ['fd00::/129', undefined],
  ['10.0.0.0/08', undefined],
  ['10.0.0.0/', undefined],
  ['10.0.0', undefined],
  ['fe80::1%eth0', undefined],
  ['localhost', undefined],
])('the block of %s is %s', (text, expected) => {
  expect(parseCidr(text)).toBe(expected);
});

test.each([
  ['example.com', true],
  ['example.com:8080', true],
  ['[::1]:80', true],
  ['10.0.0.1', true],
  ['example.com:0', false],
  ['a b', false],
  ['a\r\nb', false],
  ['http://a', false],
  ['a,b', false],
  ['', false],
])('%j may stand in a Host field: %s', (text, expected) => {
  expect(isHostFieldValue(text)).toBe(expected);
});

test.each([
  ['0.0.0.0', '0.0.0.0'],
  ['::', '::'],
  ['[::1]', '::1'],
  ['localhost', 'localhost'],
  ['[localhost]', undefined],
  ['a b', undefined],
])('listening on %s is listening on %s', (text, expected) => {
  expect(parseListenHost(text)).toBe(expected);
});
