/** The file descriptors of this process, for the metrics and for who starts it. Undefined where the system does not tell. */
import { readdirSync, readFileSync } from 'node:fs';
import { Descriptors } from '../data/descriptors.ts';
import { descriptorLimitOf, LIMITS_FILE } from '../snapshot/descriptor-limit.ts';

/** Costs time in proportion. */
export function openDescriptors(): number | undefined {
  try {
    // One of them is the folder that is being read.
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    return undefined;
  }
}

export function maxDescriptors(): number | undefined {
  try {
    return descriptorLimitOf(readFileSync(LIMITS_FILE, 'latin1'));
  } catch {
    return undefined;
  }
}

/** Nobody means to serve fewer at a time. */
const FEW_CLIENTS = 100;

/** For the log, where there is room for few clients; undefined: there is for many, or nobody knows. */
export function fewDescriptors(
  limit: number | undefined,
  open: number | undefined,
): string | undefined {
  if (limit === undefined || open === undefined) return undefined;
  const clients = Math.max(0, new Descriptors(() => limit).clientsEnd - open);
  if (clients >= FEW_CLIENTS) return undefined;
  return `there is room for ${clients} client connections at most, less those to backends: ${open} of ${limit} file descriptors are open; raise the hard limit (LimitNOFILE, ulimit -Hn)`;
}
