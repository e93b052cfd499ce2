/** Hellos of real clients, whole, cut up, and spoilt. */
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { ClientHello } from '../../src/data/wire/client-hello.ts';

const RECORD_HEAD = 5;
const MOST_BYTES = 32 * 1024;
const MOST_RECORDS = 32;

/** What a client says first. */
async function helloOf(options: tls.ConnectionOptions): Promise<Buffer> {
  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const client = tls.connect({ port, host: '127.0.0.1', ...options });
  client.on('error', () => {});
  const [accepted] = (await once(server, 'connection')) as [net.Socket];
  const [bytes] = (await once(accepted, 'data')) as [Buffer];
  accepted.destroy();
  client.destroy();
  server.close();
  return bytes;
}

/** The same message in records of so many bytes. */
function inRecords(hello: Buffer, bytes: number): Buffer {
  const message = hello.subarray(RECORD_HEAD);
  const records: Buffer[] = [];
  for (let start = 0; start < message.length; start += bytes) {
    const part = message.subarray(start, start + bytes);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 0xff]), part);
  }
  return Buffer.concat(records);
}

/** The name; null: there is more to come. */
function readServerName(bytes: Buffer): string | null {
  const { state, name } = readIn(bytes, bytes.length);
  return state === 'begun' ? null : name;
}

/** Pieces of so many bytes, each in the same place, as what is borrowed is. */
function readIn(bytes: Buffer, size: number): ClientHello {
  const shared = Buffer.alloc(size);
  const reading = new ClientHello();
  for (let start = 0; start < bytes.length && reading.state === 'begun'; start += size) {
    const length = bytes.copy(shared, 0, start, start + size);
    reading.read(shared.subarray(0, length));
  }
  return reading;
}

let hello: Buffer;

beforeAll(async () => {
  hello = await helloOf({ servername: 'Shop.Example.com', ALPNProtocols: ['h2', 'http/1.1'] });
});

describe('the name', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('of a client of %s', async (version) => {
    const bytes = await helloOf({ servername: 'a.test', minVersion: version, maxVersion: version });
    expect(readServerName(bytes)).toBe('a.test');
  });

  test('in lower case, from as many records as it comes in', () => {
    expect(readServerName(hello)).toBe('shop.example.com');
    const fewest = Math.ceil((hello.length - RECORD_HEAD) / MOST_RECORDS);
    for (const bytes of [fewest, 100, 200]) {
      expect(readServerName(inRecords(hello, bytes))).toBe('shop.example.com');
    }
  });

  test('from as many reads as it comes in', () => {
    const bytes = inRecords(hello, 100);
    for (let size = 1; size <= bytes.length; size++) {
      const reading = readIn(bytes, size);
      expect(reading.name).toBe('shop.example.com');
      const read = Math.min(bytes.length, Math.ceil(bytes.length / size) * size);
      expect(reading.bytes.equals(bytes)).toBe(true);
      expect(reading.bytesBefore.length).toBe(Math.floor((read - 1) / size) * size);
    }
  });

  test('is none where a client asks for none', async () => {
    expect(readServerName(await helloOf({}))).toBe('');
  });

  test('has its last dot taken off', () => {
    const dotted = Buffer.from(hello);
    dotted.write('.', hello.indexOf('Shop.Example.com') + 'Shop.Example.co'.length, 'latin1');
    expect(readServerName(dotted)).toBe('shop.example.co');
  });

  test('of what is no hello is none', () => {
    for (const bytes of [Buffer.from([21, 3, 3, 0, 2, 1, 0]), Buffer.from([22, 3, 1, 0, 0])]) {
      expect(readServerName(bytes)).toBe('');
    }
    const finished = Buffer.from(hello);
    finished[RECORD_HEAD] = 20;
    expect(readServerName(finished)).toBe('');
  });
});

test('it waits for the rest, and no longer than is decent', () => {
  for (let length = 0; length < hello.length; length++) {
    expect(readServerName(hello.subarray(0, length))).toBe(null);
  }
  // One that says it is 16 MiB.
  const huge = Buffer.from([22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff]);
  expect(readIn(huge, huge.length).state).toBe('unfit');
  // Two records, of which the second does not end.
  const long = Buffer.alloc(MOST_BYTES);
  Buffer.from([22, 3, 1, 0x40, 0, 1, 0, 0x7f, 0xfc]).copy(long);
  Buffer.from([22, 3, 1, 0x40, 0]).copy(long, RECORD_HEAD + 0x4000);
  expect(readIn(long.subarray(0, -1), 1000).state).toBe('begun');
  expect(readIn(long, 1000).state).toBe('unfit');
});

test('whatever is changed about it, there is a name, or none, or more to come', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      fc.nat(hello.length),
      (changes, length) => {
        const bytes = Buffer.from(hello.subarray(0, length));
        for (const [at, value] of changes) if (at < length) bytes[at] = value;
        const name = readServerName(bytes);
        expect(name === null || name.length <= 255).toBe(true);
      },
    ),
    { numRuns: 2_000 },
  );
});
