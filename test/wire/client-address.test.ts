import { BlockList } from 'node:net';
import { expect, test } from 'vitest';
import {
  clientAddress,
  isTrusted,
  normalizeAddress,
} from '../../src/data/listen/client-address.ts';

const trusted = new BlockList();
trusted.addSubnet('10.0.0.0', 8, 'ipv4');
trusted.addAddress('2001:db8::1', 'ipv6');

test.each([
  ['203.0.113.9', '203.0.113.9'],
  // From the right, through trusted proxies only: what is left of the first other address may be forged.
  ['198.51.100.7, 203.0.113.9', '203.0.113.9'],
  ['198.51.100.7, 203.0.113.9, 10.9.9.9', '203.0.113.9'],
  ['203.0.113.9,10.1.1.1,2001:db8::1', '203.0.113.9'],
  ['10.1.1.1, 10.2.2.2', '10.1.1.1'],
  ['203.0.113.9:4711', '203.0.113.9'],
  ['[2001:db8::9]:4711', '2001:db8::9'],
  ['[2001:db8::9]', '2001:db8::9'],
  ['2001:db8::9', '2001:db8::9'],
  ['203.0.113.9, [2001:db8::1]:1', '203.0.113.9'],
  // An entry that is no address ends the walk at the last one that was.
  ['203.0.113.9, unknown', '10.0.0.1'],
  ['203.0.113.9, unknown, 10.2.2.2', '10.2.2.2'],
  ['203.0.113.9,', '10.0.0.1'],
  ['', '10.0.0.1'],
  [' ', '10.0.0.1'],
  ['203.0.113.999', '10.0.0.1'],
  ['[', '10.0.0.1'],
  ['[]', '10.0.0.1'],
  [':', '10.0.0.1'],
  ['_hidden', '10.0.0.1'],
  ['for=203.0.113.9', '10.0.0.1'],
])('%j behind 10.0.0.1 is %s', (chain, client) => {
  expect(clientAddress('10.0.0.1', chain, trusted)).toBe(client);
});

test('only addresses of the list are trusted', () => {
  expect(isTrusted(trusted, '10.255.0.1')).toBe(true);
  expect(isTrusted(trusted, '11.0.0.1')).toBe(false);
  expect(isTrusted(trusted, '2001:db8::1')).toBe(true);
  expect(isTrusted(trusted, '2001:db8::2')).toBe(false);
  expect(isTrusted(trusted, 'unknown')).toBe(false);
  expect(isTrusted(null, '10.0.0.1')).toBe(false);
});

test('an IPv4 address that the system maps into IPv6 is an IPv4 address', () => {
  expect(normalizeAddress('::ffff:192.0.2.1')).toBe('192.0.2.1');
  expect(normalizeAddress('::1')).toBe('::1');
  expect(normalizeAddress('192.0.2.1')).toBe('192.0.2.1');
  expect(normalizeAddress(undefined)).toBe('unknown');
});

test('a mapped address in the chain is the IPv4 address that it means', () => {
  expect(clientAddress('10.0.0.1', '203.0.113.9, ::ffff:10.2.2.2', trusted)).toBe('203.0.113.9');
});

test('32 hops are looked at, from the right', () => {
  const proxies = ',10.1.1.1'.repeat(31);
  expect(clientAddress('10.0.0.1', `203.0.113.9${proxies}`, trusted)).toBe('203.0.113.9');
  expect(clientAddress('10.0.0.1', `203.0.113.9,10.1.1.1${proxies}`, trusted)).toBe('10.1.1.1');
});

test('thousands of trusted hops and many blocks are looked up 32 times', () => {
  const blocks = new BlockList();
  for (let block = 0; block < 53; block++) blocks.addSubnet(`10.${block}.0.0`, 16, 'ipv4');
  let checks = 0;
  const counting = Object.assign(Object.create(blocks) as BlockList, {
    check: (address: string, family: 'ipv4' | 'ipv6') => {
      checks++;
      return blocks.check(address, family);
    },
  });
  const chain = Array.from({ length: 3_000 }, () => '10.52.1.1').join(', ');
  expect(clientAddress('10.0.0.1', chain, counting)).toBe('10.52.1.1');
  expect(checks).toBe(32);
});

test.each([
  [`fe80::1%${'x'.repeat(25_000)}`, '10.0.0.1'],
  ['203.0.113.9, fe80::1%eth0', '10.0.0.1'],
  [`203.0.113.9${' '.repeat(25_000)}`, '10.0.0.1'],
  [`203.0.113.9,${' '.repeat(40)}10.2.2.2`, '203.0.113.9'],
])('what is no address, whatever its length, ends the walk: %#', (chain, client) => {
  expect(clientAddress('10.0.0.1', chain, trusted)).toBe(client);
});
