/**
 * A ClientHello may come in TLS records of one byte each. What had come of it was put together record by record, and from the
 * beginning with each read: sixteen connections with 32 KiB each cost nearly four seconds of a data thread, before any handshake.
 * What is counted here is work, not time: bytes copied, and how soon such a client is refused.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ClientHello } from '../../src/data/wire/client-hello.ts';
import { metrics } from '../behaviour/stage.ts';
import { afterTest } from '../support/after-test.ts';
import { Authority } from '../support/authority.ts';
import { startFairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { httpBackend } from '../support/http-backend.ts';
import { hasTool } from '../support/tools.ts';
import { SOON_MS, waitFor, within } from '../support/wait-for.ts';

const FAILED = 'fairlead_errors_total{code="ERR_CLIENT_TLS"}';
const MOST_BYTES = 32 * 1024;
const MOST_RECORDS = 32;
/** Of a handshake: a record with one byte of it. */
const RECORD_BYTES = 6;

/** A message of 30,000 bytes, as far as it comes. */
function inTinyRecords(count: number): Buffer {
  const bytes = Buffer.alloc(count * RECORD_BYTES, Buffer.from([22, 3, 1, 0, 1, 0]));
  for (const [index, value] of [1, 0, 0x75, 0x30].entries()) {
    bytes[index * RECORD_BYTES + RECORD_BYTES - 1] = value;
  }
  return bytes;
}

afterEach(() => void vi.restoreAllMocks());

/** How many bytes are copied meanwhile, by whatever copies. */
function copiedBy(step: () => void): number {
  let copied = 0;
  const concat = Buffer.concat;
  vi.spyOn(Buffer, 'concat').mockImplementation((list, length) => {
    const all = concat(list, length);
    copied += all.length;
    return all;
  });
  const copy = Buffer.prototype.copy;
  vi.spyOn(Buffer.prototype, 'copy').mockImplementation(function (this: Buffer, ...args) {
    const length = copy.apply(this, args);
    copied += length;
    return length;
  });
  step();
  vi.restoreAllMocks();
  return copied;
}

test.each([1, RECORD_BYTES, 1_000, MOST_BYTES])(
  'it is over after 32 of them, in reads of %i',
  (size) => {
    const bytes = inTinyRecords(5_000);
    const hello = new ClientHello();
    let read = 0;
    const copied = copiedBy(() => {
      for (; hello.state === 'begun' && read < bytes.length; read += size) {
        hello.read(bytes.subarray(read, read + size));
      }
    });
    expect(hello.state).toBe('unfit');
    const judged = MOST_RECORDS * RECORD_BYTES + RECORD_BYTES;
    expect(read).toBeLessThan(judged + size);
    expect(copied).toBeLessThan(4 * judged);
  },
);

test('what is in few records is copied a few times, in however many reads', () => {
  const bytes = Buffer.alloc(MOST_BYTES);
  Buffer.from([22, 3, 1, 0x40, 0, 1, 0, 0x7f, 0xfc]).copy(bytes);
  Buffer.from([22, 3, 1, 0x40, 0]).copy(bytes, 5 + 0x4000);
  const hello = new ClientHello();
  const copied = copiedBy(() => {
    for (let at = 0; at < bytes.length; at++) hello.read(bytes.subarray(at, at + 1));
  });
  expect(hello.state).toBe('unfit');
  // Each byte as it is read and as part of the message, and once more on the average as the room for both grows.
  expect(copied).toBeLessThan(6 * bytes.length);
});

/** Of certificates and keys, so that the name a client asks for matters. */
function pairs(...names: readonly string[]) {
  const authority = new Authority();
  const folder = mkdtempSync(path.join(tmpdir(), 'fairlead-hello-'));
  afterTest(() => rmSync(folder, { recursive: true, force: true }));
  return names.map((name) => {
    const { cert, key } = authority.sign(name);
    const base = path.join(folder, name);
    writeFileSync(`${base}.crt`, cert);
    writeFileSync(`${base}.key`, key);
    return { cert_file: `${base}.crt`, key_file: `${base}.key` };
  });
}

const WITHOUT_TLS_HANDLES = new URL('../support/without-tls-handles.mjs', import.meta.url).href;

describe.runIf(hasTool('openssl')).each([
  ['on handles', {}],
  ['on sockets', { NODE_OPTIONS: `--import ${WITHOUT_TLS_HANDLES}` }],
] as const)('%s', (_way, env) => {
  test('its client is refused, and not served with the default', async () => {
    const certificates = pairs('one.test', 'two.test');
    const backend = await httpBackend();
    const fairlead = await onFreePorts(2, ([port = 0, adminPort = 0]) =>
      startFairlead({
        config: {
          admin_port: adminPort,
          backends: [backend.url],
          listeners: [{ port, tls: { certificates } }],
        },
        ports: { port, adminPort },
        env,
      }),
    );
    const client = net.connect(fairlead.port, '127.0.0.1');
    afterTest(() => void client.destroy());
    client.on('error', () => {});
    const answer: Buffer[] = [];
    client.on('data', (bytes) => answer.push(bytes));
    client.write(inTinyRecords(MOST_RECORDS + 1));
    await within(once(client, 'close'), SOON_MS, 'the end of the connection');
    // illegal_parameter
    expect(Buffer.concat(answer)).toEqual(Buffer.from([21, 3, 3, 0, 2, 2, 47]));
    await waitFor(async () => (await metrics(fairlead)).get(FAILED) === 1);
  });
});
