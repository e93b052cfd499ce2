import { BlockList } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AddressBlocks } from '../../src/data/limit/address-blocks.ts';

const SEVEN = { minLength: 7, maxLength: 7 };

test.each([
  ['10.0.0.0/8', '10.255.0.1', true],
  ['10.0.0.0/8', '11.0.0.1', false],
  ['10.1.2.3/32', '10.1.2.3', true],
  ['10.1.2.3/32', '10.1.2.4', false],
  ['10.1.2.3/8', '10.9.9.9', true],
  ['0.0.0.0/0', '203.0.113.9', true],
  ['0.0.0.0/0', '2001:db8::1', false],
  ['255.255.255.255/32', '255.255.255.255', true],
  ['2001:db8::/32', '2001:db8:ffff::1', true],
  ['2001:db8::/32', '2001:db9::1', false],
  ['2001:db8::/33', '2001:db8:8000::1', false],
  ['::/0', '2001:db8::1', true],
  ['::/0', '10.0.0.1', false],
  ['fe80::/10', 'fe80::1%eth0', true],
  ['::1/128', '0:0:0:0:0:0:0:1', true],
  // An IPv4 address in the form of IPv6, in any of its spellings: the same client, the same block.
  ['10.0.0.0/8', '::ffff:10.1.2.3', true],
  ['10.0.0.0/8', '::FFFF:0a01:0203', true],
  ['10.0.0.0/8', '0:0:0:0:0:ffff:a01:203', true],
  ['10.0.0.0/8', '::ffff:11.1.2.3', false],
  ['::ffff:10.0.0.0/104', '10.1.2.3', true],
  ['::ffff:10.0.0.0/104', '11.1.2.3', false],
  ['::ffff:10.1.2.3/128', '::ffff:10.1.2.3', true],
  // It holds all of them, and the config says so in IPv6 alone.
  ['::ffff:0:0/96', '10.1.2.3', true],
  ['10.0.0.0/8', '::10.1.2.3', false],
  ['10.0.0.0/8', 'unknown', false],
  ['10.0.0.0/8', '', false],
  ['10.0.0.0/8', '10.0.0', false],
  ['10.0.0.0/8', '10.0.0.256', false],
  ['10.0.0.0/8', '10.0.0.1.', false],
  ['10.0.0.0/8', '10.0.0.1:80', false],
  ['0.0.0.0/0', 'unknown', false],
  ['::/0', 'unknown:', false],
])('%s has %s: %s', (block, address, isIn) => {
  expect(new AddressBlocks(['192.0.2.1/32', block]).has(address)).toBe(isIn);
});

/** None that holds an IPv4 address: Node has those otherwise. */
const ipv6 = fc
  .tuple(
    fc.integer({ min: 1, max: 0xff_ff }),
    fc.array(fc.integer({ min: 0, max: 0xff_ff }), SEVEN),
  )
  .map(([first, others]) => [first, ...others].map((group) => group.toString(16)).join(':'));

test.each([
  ['ipv4', fc.ipV4(), 32],
  ['ipv6', ipv6, 128],
] as const)(
  'of many blocks of %s, an address is in one of them or in none',
  (family, any, most) => {
    const blocks = fc.array(fc.tuple(any, fc.integer({ min: 1, max: most })), { maxLength: 20 });
    fc.assert(
      fc.property(blocks, any, (list, address) => {
        const other = new BlockList();
        for (const [one, bits] of list) other.addSubnet(one, bits, family);
        const own = new AddressBlocks(list.map(([one, bits]) => `${one}/${bits}`));
        expect(own.has(address)).toBe(other.check(address, family));
      }),
    );
  },
);
