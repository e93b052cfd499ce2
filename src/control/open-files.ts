/** The file descriptors of this process, for the metrics. Undefined where the system does not tell. */
import { readdirSync, readFileSync } from 'node:fs';
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
