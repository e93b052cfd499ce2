/** The cluster as the admin API shows it. The field names are an interface: see docs. */
import type { ClusterSettings } from '../../config/settings.ts';
import type { Registry } from '../registry.ts';
import type { Member, Members } from './members.ts';
import { compareHealth, type HealthView, healthKey, type PeerHealth } from './peer-health.ts';
import { proofFor } from './peer-proof.ts';
import type { Seal } from './sealed.ts';

interface OwnVerdict {
  readonly pool: string;
  readonly url: string;
  readonly alive: boolean;
}

/** What the checks of this instance have found out; who has not been checked yet may well be alive. */
function verdicts(registry: Registry | undefined): OwnVerdict[] {
  return (registry?.pools() ?? []).flatMap(({ name: pool, live }) =>
    live
      .all()
      .map(({ address: { url }, health }) => ({ pool, url, alive: health !== 'unhealthy' })),
  );
}

export function showHealth(
  { name: cluster, instance }: ClusterSettings,
  registry: Registry | undefined,
): object {
  return { cluster, instance, backends: verdicts(registry) };
}

export interface PeersToAsk {
  readonly settings: ClusterSettings;
  readonly registry: Registry | undefined;
  /** By its key they know who asks. */
  readonly seal: Seal | undefined;
  /** What callers of the admin API of the others show: it is shown where there is no key. */
  readonly token: string | undefined;
}

export interface ClusterToDescribe extends PeersToAsk {
  readonly members: Members;
  /** Of this instance. */
  readonly facts: object;
}

/** Asks the other instances. */
export function askPeers(
  { settings, registry, seal, token }: PeersToAsk,
  members: readonly Member[],
): Promise<PeerHealth> {
  const own: HealthView = new Map(
    verdicts(registry).map(({ pool, url, alive }) => [healthKey(pool, url), alive]),
  );
  const bearer = token === undefined ? undefined : `Bearer ${token}`;
  const shownTo = (peer: string): string | undefined =>
    seal === undefined ? bearer : proofFor(seal, settings.name, peer);
  return compareHealth(settings.instance, own, members, shownTo);
}

export async function describeCluster({
  members,
  facts,
  ...asking
}: ClusterToDescribe): Promise<object> {
  const listed = await members.list().catch(() => undefined);
  const known = listed ?? members.known;
  const { name, instance } = asking.settings;
  const { disagreements, silent } = await askPeers(asking, known);
  return {
    name,
    instance,
    ...facts,
    members: known,
    members_are_known: listed !== undefined,
    health: { disagreements, silent, partial: silent.length > 0 },
  };
}
