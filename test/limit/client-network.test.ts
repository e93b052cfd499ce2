import { isIP } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { clientNetwork } from '../../src/data/limit/client-network.ts';

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::', '2001:db8:1:2::/64'],
  ['2001:DB8:0001:2:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['2001:db8:1::3:4:5:6', '2001:db8:1:0::/64'],
  ['1:2:3:4:5:6:7::', '1:2:3:4::/64'],
  ['::2:3:4:5:6:7:8', '0:2:3:4::/64'],
  ['::1', '0:0:0:0::/64'],
  ['::', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['2001:db8:1:2:3:4:192.0.2.1', '2001:db8:1:2::/64'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::FFFF:c000:201', '192.0.2.1'],
  ['0:0:0:0:0:ffff:192.0.2.255', '192.0.2.255'],
  // IPv4-compatible and NAT64 addresses are not mapped ones.
  ['::192.0.2.1', '0:0:0:0::/64'],
  ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
])('%s is of %s', (address, network) => {
  expect(clientNetwork(address)).toBe(network);
});

test.each([
  'unknown',
  '',
  ':',
  ':::',
  '1:2',
  '1::2::3',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7:8::',
  'g::1',
  '::1.2.3.400',
  '::1.2.3',
  '1.2.3.4::',
  '1.2.3.4::1',
  '::01.2.3.4',
  '::1.2.3.4:5',
  '12345::',
  'a:b',
])('%j is no address and stands for itself', (text) => {
  expect(clientNetwork(text)).toBe(text);
});

const group = fc.oneof(fc.constant(0), fc.nat({ max: 0xff_ff }));
const groups = fc.array(group, { minLength: 8, maxLength: 8 });

/** One of the many spellings of an address. */
function spelled(parts: readonly number[], isUpper: boolean, isPadded: boolean): string {
  const text = parts.map((part) => part.toString(16).padStart(isPadded ? 4 : 1, '0')).join(':');
  return isUpper ? text.toUpperCase() : text;
}

/** The shortest (RFC 5952), as the URL standard writes it. */
function shortest(parts: readonly number[]): string {
  return new URL(`http://[${spelled(parts, false, false)}]/`).hostname.slice(1, -1);
}

const IS_MAPPED = /^0:0:0:0:0:ffff:/;

test('all spellings of the addresses of a network are one client, those of another are not', () => {
  fc.assert(
    fc.property(groups, groups, fc.boolean(), fc.boolean(), (first, second, isUpper, isPadded) => {
      const plain = [first, second].map((parts) => spelled(parts, false, false));
      fc.pre(!plain.some((text) => IS_MAPPED.test(text)));
      const neighbour = [...first.slice(0, 4), ...second.slice(4)];
      fc.pre(!IS_MAPPED.test(spelled(neighbour, false, false)));
      const network = clientNetwork(spelled(first, isUpper, isPadded));
      expect(clientNetwork(shortest(first))).toBe(network);
      expect(clientNetwork(shortest(neighbour))).toBe(network);
      const isSame = plain[0]?.split(':', 4).join() === plain[1]?.split(':', 4).join();
      expect(clientNetwork(shortest(second)) === network).toBe(isSame);
    }),
  );
});

test('an IPv4 address is one client in every form of it', () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      expect(clientNetwork(address)).toBe(address);
      expect(clientNetwork(`::ffff:${address}`)).toBe(address);
      const hexadecimal = new URL(`http://[::ffff:${address}]/`).hostname.slice(1, -1);
      expect(clientNetwork(hexadecimal)).toBe(address);
    }),
  );
});

test('every text that is an IPv6 address is understood, and no other text', () => {
  const texts = fc.oneof(
    fc.ipV6(),
    fc.string({ unit: fc.constantFrom(...'01af:.'), maxLength: 20 }),
  );
  fc.assert(
    fc.property(texts, (text) => {
      fc.pre(text.includes(':'));
      expect(clientNetwork(text) !== text).toBe(isIP(text) === 6);
    }),
    { numRuns: 1_000 },
  );
});
