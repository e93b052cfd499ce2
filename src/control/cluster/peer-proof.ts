/**
 * How one instance shows another that it has the key of the cluster: not by the token of the admin API, which whoever may write an address
 * to the store would learn. What is shown is for one instance, for a while, and for what that thinks of its backends: nothing else is
 * answered to it.
 */
import type { ClusterSettings } from '../../config/settings.ts';
import type { Seal } from './sealed.ts';

const SCHEME = 'Fairlead-Peer';
/** As far as clocks may differ. */
const GOOD_MS = 5 * 60_000;

/** @param peer whom it is for. @returns a value of `Authorization`. */
export function proofFor(seal: Seal, cluster: string, peer: string, now = Date.now()): string {
  return `${SCHEME} ${seal.seal(nameOf(cluster, peer), String(now))}`;
}

/** Whether whoever sends that has the key. @param seal undefined: nobody can show that. */
export function isPeer(
  seal: Seal | undefined,
  { name, instance }: Pick<ClusterSettings, 'name' | 'instance'>,
  authorization: string | undefined,
  now = Date.now(),
): boolean {
  const [scheme, sealed, ...more] = authorization?.split(' ') ?? [];
  if (seal === undefined || scheme !== SCHEME || sealed === undefined || more.length > 0) {
    return false;
  }
  try {
    const madeAt = Number(seal.open(nameOf(name, instance), sealed).toString());
    return Math.abs(now - madeAt) <= GOOD_MS;
  } catch {
    return false;
  }
}

function nameOf(cluster: string, peer: string): string {
  return `a call of ${cluster} to ${peer}`;
}
