/** The backends behind the SRV records of a name (RFC 2782): each address of each target, with the port of its record. */
import { promises as dns, type SrvRecord } from 'node:dns';
import { isIPv4 } from 'node:net';
import type { DiscoverySettings, SrvSettings } from '../../config/discovery-settings.ts';
import type { BackendSettings } from '../../config/settings.ts';
import { isHostName } from '../../config/values/network-address.ts';
import { codeOf } from '../../snapshot/own-shortage.ts';
import type { ResolveName } from './dns-answers.ts';
import { backendAt, scaledWeights } from './found-backends.ts';
import type { Answer } from './polled-source.ts';

/** Each is a question or two to DNS. */
const MOST_TARGETS = 256;
/** Of a target that there is no such name, or that it has no address: it stays so, and the others are there. */
const NO_ADDRESS: ReadonlySet<string> = new Set(['ENODATA', 'ENOTFOUND']);

export type ResolveSrv = (name: string) => Promise<readonly SrvRecord[]>;

export const resolveSrv: ResolveSrv = (name) => dns.resolveSrv(name);

/** Rejects where DNS does not say, for one of them, or where it says that there are no such records. */
export async function srvAnswer(
  {
    source: { name, tls },
    basePath,
  }: Pick<DiscoverySettings, 'basePath'> & { source: SrvSettings },
  askSrv: ResolveSrv,
  resolve: ResolveName,
): Promise<Answer> {
  const all = await askSrv(name);
  // A target that is the root says that the service is not to be had (RFC 2782).
  const named = all.filter(({ name: target }) => target !== '' && target !== '.');
  // DNS may hold any bytes in a name; this one is written into requests, as Host.
  const isSound = (record: SrvRecord): boolean => {
    const target = targetOf(record);
    return record.port > 0 && (isIPv4(target) || isHostName(target));
  };
  const records = named
    .filter(isSound)
    .toSorted((a, b) => a.priority - b.priority)
    .slice(0, MOST_TARGETS);
  const targets = [...new Set(records.map(targetOf))];
  const answers = await Promise.all(targets.map((target) => addressesOf(target, resolve)));
  const addresses = new Map(targets.map((target, index) => [target, answers[index] ?? null]));
  const first = records[0]?.priority;
  const weights = scaledWeights(records.map(({ weight }) => weight));
  const list = records.flatMap((record, index): BackendSettings[] => {
    const target = targetOf(record);
    const called = record.port === (tls ? 443 : 80) ? target : `${target}:${record.port}`;
    return (addresses.get(target) ?? []).map((host) =>
      backendAt({
        tls,
        host,
        port: record.port,
        basePath,
        authority: called,
        weight: weights[index] ?? 1,
        isBackup: record.priority !== first,
      }),
    );
  });
  const missing = targets.filter((target) => addresses.get(target) === null);
  const leftOut = missing.map((target) => `${target} has no address: give it one, or no record`);
  for (const record of named.filter((one) => !isSound(one)).slice(0, MOST_TARGETS)) {
    const target = JSON.stringify(targetOf(record));
    leftOut.push(`the record of ${target} has no port and host that could be one: correct it`);
  }
  if (all.length > MOST_TARGETS) {
    leftOut.push(`${name} has ${all.length} records: ${MOST_TARGETS} of them are looked at`);
  }
  if (list.length === 0 && missing.length > 0) throw new Error(leftOut[0]);
  return { list, leftOut, ttlMs: undefined };
}

function targetOf({ name }: SrvRecord): string {
  return name.toLowerCase().replace(/\.$/, '');
}

async function addressesOf(
  target: string,
  resolve: ResolveName,
): Promise<readonly string[] | null> {
  try {
    return (await resolve(target)).addresses;
  } catch (error) {
    if (error instanceof Error && NO_ADDRESS.has(codeOf(error))) return null;
    throw error;
  }
}
