import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterTest } from './after-test.ts';

const SERVFAIL = 2;
const NAME_ERROR = 3;
const TYPE_A = 1;

export interface DnsServer {
  /** As `TEST_DNS` takes it: see dns-servers.mjs. */
  readonly address: string;
  /** IPv4 addresses by name; `fail`: the server can't answer. Names that are not here do not exist. */
  readonly names: Map<string, readonly string[] | 'fail'>;
  /** Questions for addresses of IPv4 so far. */
  readonly asked: readonly string[];
}

/** A name server (RFC 1035) at a port of 127.0.0.1, for A records with one TTL. */
export async function dnsServer(ttlSeconds = 1): Promise<DnsServer> {
  const names: DnsServer['names'] = new Map();
  const asked: string[] = [];
  const socket = createSocket('udp4');
  socket.on('message', (query, peer) => {
    const { name, end } = readName(query);
    const type = query.readUInt16BE(end);
    const known = names.get(name);
    if (type === TYPE_A) asked.push(name);
    const answers = type === TYPE_A && Array.isArray(known) ? (known as readonly string[]) : [];
    const head = Buffer.alloc(12);
    query.copy(head, 0, 0, 2);
    const code = known === 'fail' ? SERVFAIL : known === undefined ? NAME_ERROR : 0;
    head.writeUInt16BE(0x8180 | code, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(answers.length, 6);
    const records = answers.map((address) => {
      const record = Buffer.alloc(16);
      // The name that was asked for, at offset 12.
      record.writeUInt16BE(0xc00c, 0);
      record.writeUInt16BE(TYPE_A, 2);
      record.writeUInt16BE(1, 4);
      record.writeUInt32BE(ttlSeconds, 6);
      record.writeUInt16BE(4, 10);
      for (const [index, part] of address.split('.').entries()) record[12 + index] = Number(part);
      return record;
    });
    const question = query.subarray(12, end + 4);
    socket.send(Buffer.concat([head, question, ...records]), peer.port, peer.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  afterTest(() => void socket.close());
  return { address: `127.0.0.1:${socket.address().port}`, names, asked };
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
