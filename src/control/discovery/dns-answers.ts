/** All addresses of a name, with how long they hold: asked of DNS, and of the system where DNS does not know the name. */
import { promises as dns, type RecordWithTtl } from 'node:dns';
import { networkInterfaces } from 'node:os';
import { codeOf } from '../../snapshot/own-shortage.ts';

export interface DnsAnswer {
  /** Not empty, in any order. */
  readonly addresses: readonly string[];
  /** Undefined: nobody said. */
  readonly ttlMs: number | undefined;
}

/** Rejects where there is no answer, or an empty one. */
export type ResolveName = (host: string) => Promise<DnsAnswer>;

/** What DNS says of a name that it has no such record of; all else is a failure, and half an answer is none. */
const NO_RECORD: ReadonlySet<string> = new Set(['ENODATA', 'ENOTFOUND']);

export const resolveName: ResolveName = async (host) => {
  const asked = [dns.resolve4(host, { ttl: true })];
  if (hasIPv6()) asked.push(dns.resolve6(host, { ttl: true }));
  const answers = await Promise.all(asked.map(orNothing));
  const records = answers.flat();
  if (records.length > 0) {
    const seconds = Math.min(...records.map(({ ttl }) => ttl));
    return { addresses: records.map(({ address }) => address), ttlMs: seconds * 1000 };
  }
  // A name of the hosts file, or one that the search list of the system completes.
  const found = await dns.lookup(host, { all: true });
  if (found.length === 0) throw new Error(`${host} has no address`);
  return { addresses: found.map(({ address }) => address), ttlMs: undefined };
};

async function orNothing(asked: Promise<RecordWithTtl[]>): Promise<RecordWithTtl[]> {
  try {
    return await asked;
  } catch (error) {
    // Without a server to ask, the hosts file may do.
    if (error instanceof Error && (NO_RECORD.has(codeOf(error)) || isAlone(error))) return [];
    throw error;
  }
}

/** No DNS server is there at all: the case on a machine without a network. */
function isAlone(error: Error): boolean {
  return codeOf(error) === 'ECONNREFUSED';
}

/** As getaddrinfo with AI_ADDRCONFIG has it: addresses of a family that nobody here can reach are none. */
function hasIPv6(): boolean {
  return Object.values(networkInterfaces()).some((all) =>
    all?.some(({ family, internal }) => family === 'IPv6' && !internal),
  );
}
