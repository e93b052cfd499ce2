/** The cluster as the admin API shows it. The field names are an interface: see docs. */
import type { ClusterSettings } from '../../config/settings.ts';
import type { Registry } from '../registry.ts';
import type { Member, Members } from './members.ts';
import { compareHealth, type HealthView, healthKey, type PeerHealth } from './peer-health.ts';

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

export interface ClusterToDescribe {
  readonly settings: ClusterSettings;
  readonly members: Members;
  readonly registry: Registry | undefined;
  /** What callers of the admin API of the others show. */
  readonly token: string | undefined;
  /** Of this instance. */
  readonly facts: object;
}

/** Asks the other instances. */
export function askPeers(
  { settings: { instance }, registry, token }: Omit<ClusterToDescribe, 'members' | 'facts'>,
  members: readonly Member[],
): Promise<PeerHealth> {
  const own: HealthView = new Map(
    verdicts(registry).map(({ pool, url, alive }) => [healthKey(pool, url), alive]),
  );
  return compareHealth(instance, own, members, token);
}

export async function describeCluster({
  settings,
  members,
  registry,
  token,
  facts,
}: ClusterToDescribe): Promise<object> {
  const listed = await members.list().catch(() => undefined);
  const known = listed ?? members.known;
  const { name, instance } = settings;
  const { disagreements, silent } = await askPeers({ settings, registry, token }, known);
  return {
    name,
    instance,
    ...facts,
    members: known,
    members_are_known: listed !== undefined,
    health: { disagreements, silent, partial: silent.length > 0 },
  };
}
