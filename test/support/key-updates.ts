/**
 * A client of TLS 1.3 that asks for new keys as often as it likes (RFC 8446 §4.6.3), which no client at hand does: Node's shakes
 * hands and sends a request through a relay, which then speaks in its place, with its keys.
 */
import { createCipheriv, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import tls from 'node:tls';
import { afterTest } from './after-test.ts';

const HASH = 'sha256';
const KEY_BYTES = 16;
const IV_BYTES = 12;
const TAG_BYTES = 16;
/** Update_requested; behind it the type of the record. */
const KEY_UPDATE = Buffer.from([24, 0, 0, 1, 1, 22]);
const RECORD_HEAD = Buffer.from([23, 3, 3, 0, KEY_UPDATE.length + TAG_BYTES]);
/** Of what answers a `KEY_UPDATE`. */
export const ANSWER_BYTES = RECORD_HEAD.length + KEY_UPDATE.length + TAG_BYTES;

export interface KeyUpdater {
  /** Asks so many times, and resolves when all of it has left; reads nothing of what comes. */
  ask(times: number): Promise<void>;
  readonly isClosed: boolean;
}

/** @param request one record: what has been asked for before the keys are. */
export async function keyUpdater(port: number, request: string): Promise<KeyUpdater> {
  const relay = createServer();
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const server = connect(port, '127.0.0.1');
  relay.once('connection', (client: Socket) => {
    client.on('error', () => {}).pipe(server, { end: false });
    server.pipe(client);
    afterTest(() => void client.destroy());
  });
  let isClosed = false;
  server
    .on('error', () => {})
    .on('close', () => {
      isClosed = true;
    });
  const client = tls.connect({
    port: (relay.address() as AddressInfo).port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_GCM_SHA256',
  });
  afterTest(() => {
    client.destroy();
    server.destroy();
    relay.close();
  });
  client.on('error', () => {});
  let secret: Buffer = Buffer.alloc(0);
  client.on('keylog', (line) => {
    const [label, , value = ''] = line.toString('latin1').trim().split(' ');
    if (label === 'CLIENT_TRAFFIC_SECRET_0') secret = Buffer.from(value, 'hex');
  });
  await once(client, 'secureConnect');
  client.write(request);
  await once(client, 'data');
  server.unpipe();
  server.pause();
  let records = 1;
  const nextRecord = (): Buffer => {
    const record = sealed(secret, records);
    secret = expanded(secret, 'traffic upd', secret.length);
    records = 0;
    return record;
  };
  return {
    get isClosed() {
      return isClosed;
    },
    async ask(times) {
      const all = Buffer.concat(Array.from({ length: times }, nextRecord));
      await new Promise<unknown>((resolve) => server.write(all, resolve));
    },
  };
}

/** @param records that were sent with these keys before. */
function sealed(secret: Buffer, records: number): Buffer {
  const nonce = expanded(secret, 'iv', IV_BYTES);
  nonce.writeUInt8(nonce.readUInt8(IV_BYTES - 1) ^ records, IV_BYTES - 1);
  const cipher = createCipheriv('aes-128-gcm', expanded(secret, 'key', KEY_BYTES), nonce);
  cipher.setAAD(RECORD_HEAD);
  const body = Buffer.concat([cipher.update(KEY_UPDATE), cipher.final()]);
  return Buffer.concat([RECORD_HEAD, body, cipher.getAuthTag()]);
}

/** HKDF-Expand-Label (RFC 8446 §7.1), up to the length of a hash. */
function expanded(secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`, 'latin1');
  const info = Buffer.concat([Buffer.from([0, length, name.length]), name, Buffer.from([0, 1])]);
  return createHmac(HASH, secret).update(info).digest().subarray(0, length);
}
