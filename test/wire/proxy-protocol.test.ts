import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  HEADER_BAD,
  HEADER_MORE,
  MOST_HEADER_BYTES,
  readProxyHeader,
} from '../../src/data/wire/proxy-protocol.ts';
import { clientHeader, ownHeader } from '../../src/net/proxy-header.ts';

const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n';

function version2(command: number, protocol: number, rest: string, length = rest.length): Buffer {
  const fixed = Buffer.from([command, protocol, length >> 8, length & 0xff]);
  return Buffer.concat([Buffer.from(SIGNATURE, 'latin1'), fixed, Buffer.from(rest, 'latin1')]);
}

const IPV4 = '\xc0\x00\x02\x09\x0a\x00\x00\x01\x11\x22\x01\xbb';
const IPV6 = `\x20\x01\x0d\xb8${'\0'.repeat(11)}\x01${'\0'.repeat(10)}\xff\xff\x0a\x00\x00\x01\x11\x22\x01\xbb`;
const TLV = '\x04\x00\x03abc';

const OF_IPV4 = { address: '192.0.2.9', port: 4386, localAddress: '10.0.0.1', localPort: 443 };
const OF_IPV6 = { ...OF_IPV4, address: '2001:db8::1' };

const GOOD: readonly (readonly [Buffer, typeof OF_IPV4 | null])[] = [
  [Buffer.from('PROXY TCP4 192.0.2.9 10.0.0.1 4386 443\r\n'), OF_IPV4],
  [Buffer.from('PROXY TCP6 2001:DB8:0::1 ::ffff:10.0.0.1 4386 443\r\n'), OF_IPV6],
  [Buffer.from('PROXY TCP6 ::FFFF:c000:0209 ::ffff:10.0.0.1 4386 443\r\n'), OF_IPV4],
  [
    Buffer.from('PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n'),
    { address: '0.0.0.0', port: 0, localAddress: '255.255.255.255', localPort: 65_535 },
  ],
  [Buffer.from('PROXY UNKNOWN\r\n'), null],
  [Buffer.from('PROXY UNKNOWN ffff:f::1 nonsense\r\n'), null],
  [version2(0x21, 0x11, IPV4), OF_IPV4],
  [version2(0x21, 0x11, IPV4 + TLV + TLV), OF_IPV4],
  [version2(0x21, 0x21, IPV6), OF_IPV6],
  // Of the proxy itself; of no family; of datagrams; of a unix socket.
  [version2(0x20, 0x00, ''), null],
  [version2(0x20, 0x11, 'anything'), null],
  [version2(0x21, 0x00, TLV), null],
  [version2(0x21, 0x12, IPV4), null],
  [version2(0x21, 0x31, '\0'.repeat(216)), null],
  [version2(0x21, 0x11, IPV4.padEnd(MOST_HEADER_BYTES - 16, '\0')), OF_IPV4],
];

describe('a PROXY header', () => {
  test.each(GOOD)('%j is read, whatever follows it', (bytes, client) => {
    for (const rest of ['', 'GET / HTTP/1.1\r\n', '\0']) {
      const whole = Buffer.concat([bytes, Buffer.from(rest, 'latin1')]);
      expect(readProxyHeader(whole)).toEqual({ length: bytes.length, client });
    }
  });

  test.each(GOOD)('%j is not read before it is whole', (bytes) => {
    const step = bytes.length > 1_000 ? 97 : 1;
    for (let length = 0; length < bytes.length; length += step) {
      expect(readProxyHeader(bytes.subarray(0, length)).length).toBe(HEADER_MORE);
    }
  });

  test.each([
    'GET / HTTP/1.1\r\n',
    'X',
    '\n',
    '\r\n\r\n\x01',
    'PROXX',
    'PROXY\tTCP4',
    'proxy TCP4 192.0.2.9 10.0.0.1 4386 443\r\n',
    'PROXY TCP4 192.0.2.9 10.0.0.1 4386 443\n',
    'PROXY TCP4 192.0.2.9 10.0.0.1 4386\r\n',
    'PROXY TCP4 192.0.2.9 10.0.0.1 4386 443 \r\n',
    'PROXY TCP4  192.0.2.9 10.0.0.1 4386 443\r\n',
    'PROXY TCP4 192.0.2.9 10.0.0.1 4386 65536\r\n',
    'PROXY TCP4 192.0.2.9 10.0.0.1 04386 443\r\n',
    'PROXY TCP4 192.0.2.9 10.0.0.1 +1 443\r\n',
    'PROXY TCP4 192.0.2.09 10.0.0.1 4386 443\r\n',
    'PROXY TCP4 2001:db8::1 ::1 4386 443\r\n',
    'PROXY TCP6 192.0.2.9 10.0.0.1 4386 443\r\n',
    'PROXY TCP6 fe80::1%eth0 ::1 4386 443\r\n',
    'PROXY TCP6 [::1] ::1 4386 443\r\n',
    'PROXY UDP4 192.0.2.9 10.0.0.1 4386 443\r\n',
    'PROXY \r\n',
    `PROXY UNKNOWN ${'x'.repeat(93)}`,
    `PROXY UNKNOWN ${'x'.repeat(200)}\r\n`,
  ])('%j is none', (text) => {
    expect(readProxyHeader(Buffer.from(text, 'latin1'))).toEqual({
      length: HEADER_BAD,
      client: null,
    });
  });

  test.each([
    ['another version', version2(0x11, 0x11, IPV4)],
    ['another command', version2(0x22, 0x11, IPV4)],
    ['another family', version2(0x21, 0x41, IPV4)],
    ['another transport', version2(0x21, 0x13, IPV4)],
    ['too short for its family', version2(0x21, 0x11, IPV4.slice(1))],
    ['too short for IPv6', version2(0x21, 0x21, IPV4)],
    ['too short for unix', version2(0x21, 0x31, '\0'.repeat(215))],
    ['longer than any', version2(0x21, 0x11, IPV4, MOST_HEADER_BYTES - 15)],
    ['longer than any, though nobody reads it', version2(0x20, 0x00, '', 65_535)],
  ])('of version 2 with %s is none', (_what, bytes) => {
    expect(readProxyHeader(bytes).length).toBe(HEADER_BAD);
  });

  test('says nothing but one of the three, whatever the bytes', () => {
    const starts = fc.constantFrom('', 'PROXY ', 'PROXY TCP4 ', SIGNATURE, `${SIGNATURE}\x21\x11`);
    fc.assert(
      fc.property(starts, fc.uint8Array({ maxLength: 300 }), (start, rest) => {
        const bytes = Buffer.concat([Buffer.from(start, 'latin1'), rest]);
        const { length } = readProxyHeader(bytes);
        expect(length).toBeGreaterThanOrEqual(HEADER_BAD);
        expect(length).toBeLessThanOrEqual(bytes.length);
      }),
    );
  });
});

describe('what is written', () => {
  test.each(['v1', 'v2'] as const)('is read again: %s', (version) => {
    const port = fc.integer({ min: 0, max: 65_535 });
    fc.assert(
      fc.property(
        fc.oneof(fc.ipV4(), fc.ipV6()),
        fc.oneof(fc.ipV4(), fc.ipV6()),
        port,
        port,
        (address, localAddress, from, to) => {
          const ends = { address, port: from, localAddress, localPort: to };
          const header = clientHeader(version, ends);
          const { length, client } = readProxyHeader(header);
          expect(length).toBe(header.length);
          expect(client).toMatchObject({ port: from, localPort: to });
          expect(canonical(client?.address)).toBe(canonical(address));
          expect(canonical(client?.localAddress)).toBe(canonical(localAddress));
        },
      ),
    );
  });

  test.each([
    ['v1', 'PROXY UNKNOWN\r\n', 'PROXY UNKNOWN\r\n'],
    ['v2', `${SIGNATURE}\x20\0\0\0`, `${SIGNATURE}\x21\0\0\0`],
  ] as const)('of a connection without a client, and of one without addresses: %s', (...of) => {
    const [version, own, nameless] = of;
    expect(ownHeader(version).toString('latin1')).toBe(own);
    expect(clientHeader(version, null).toString('latin1')).toBe(nameless);
    const ends = { address: 'unknown', port: 0, localAddress: '', localPort: 0 };
    expect(clientHeader(version, ends).toString('latin1')).toBe(nameless);
  });
});

/** One form for all spellings, IPv4 within IPv6 among them. */
function canonical(address: string | undefined): string {
  const whole = address?.includes(':') === true ? address : `::ffff:${address}`;
  return new URL(`http://[${whole}]/`).hostname;
}
