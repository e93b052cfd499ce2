import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterTest } from './after-test.ts';

const SERVFAIL = 2;
const NAME_ERROR = 3;
const TYPE_A = 1;
const TYPE_SRV = 33;

export interface ServiceRecord {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

export interface DnsServer {
  /** As `TEST_DNS` takes it: see dns-servers.mjs. */
  readonly address: string;
  /** IPv4 addresses by name; `fail`: the server can't answer. Names that are not here do not exist. */
  readonly names: Map<string, readonly string[] | 'fail'>;
  /** SRV records by name, likewise. */
  readonly services: Map<string, readonly ServiceRecord[] | 'fail'>;
  /** Questions for addresses of IPv4, and for SRV records, so far. */
  readonly asked: readonly string[];
}

/** A name server (RFC 1035) at a port of 127.0.0.1, for A and SRV records with one TTL. */
export async function dnsServer(ttlSeconds = 1): Promise<DnsServer> {
  const names: DnsServer['names'] = new Map();
  const services: DnsServer['services'] = new Map();
  const asked: string[] = [];
  const socket = createSocket('udp4');
  socket.on('message', (query, peer) => {
    const { name, end } = readName(query);
    const type = query.readUInt16BE(end);
    const known = type === TYPE_SRV ? services.get(name) : names.get(name);
    if (type === TYPE_A || type === TYPE_SRV) asked.push(name);
    const answers = dataOf(type, known);
    const head = Buffer.alloc(12);
    query.copy(head, 0, 0, 2);
    const exists = names.has(name) || services.has(name);
    head.writeUInt16BE(0x8180 | (known === 'fail' ? SERVFAIL : exists ? 0 : NAME_ERROR), 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(answers.length, 6);
    const records = answers.map((data) => {
      const record = Buffer.alloc(12);
      // The name that was asked for, at offset 12.
      record.writeUInt16BE(0xc00c, 0);
      record.writeUInt16BE(type, 2);
      record.writeUInt16BE(1, 4);
      record.writeUInt32BE(ttlSeconds, 6);
      record.writeUInt16BE(data.length, 10);
      return Buffer.concat([record, data]);
    });
    const question = query.subarray(12, end + 4);
    socket.send(Buffer.concat([head, question, ...records]), peer.port, peer.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  afterTest(() => void socket.close());
  return { address: `127.0.0.1:${socket.address().port}`, names, services, asked };
}

function dataOf(
  type: number,
  known: readonly string[] | readonly ServiceRecord[] | 'fail' | undefined,
): Buffer[] {
  if (known === undefined || known === 'fail') return [];
  if (type === TYPE_A) {
    return (known as readonly string[]).map((one) => Buffer.from(one.split('.').map(Number)));
  }
  if (type !== TYPE_SRV) return [];
  return (known as readonly ServiceRecord[]).map(({ priority, weight, port, target }) => {
    const numbers = Buffer.alloc(6);
    numbers.writeUInt16BE(priority, 0);
    numbers.writeUInt16BE(weight, 2);
    numbers.writeUInt16BE(port, 4);
    return Buffer.concat([numbers, nameAsBytes(target)]);
  });
}

/** Uncompressed, as RFC 2782 wants it. */
function nameAsBytes(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  const parts = labels.map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`));
  return Buffer.concat([...parts, Buffer.alloc(1)]);
}

function readName(query: Buffer): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] as number; length > 0; length = query[at] as number) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 };
}
