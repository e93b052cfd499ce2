/**
 * Who answered, when the answers don't say so: what the counters of the running instance have grown by meanwhile.
 *
 * The admin API that is looked for without being named may be somebody else's: it counts only for a target on this machine,
 * and only if its backends have got requests at all.
 */
import { AdminClient, AdminError } from '../admin/admin-client.ts';
import { type AdminFlags, adminTarget } from '../admin/admin-command.ts';
import { folderOf, listPools, type ShownBackend } from '../admin/admin-pools.ts';
import { type TryResult, UNKNOWN } from './try-run.ts';

/** Whatever it is that listens there: nobody waits long for a guess. */
const ANSWER_MS = 3_000;

type Counts = ReadonlyMap<string, number>;

export class Spread {
  readonly #client: AdminClient;
  readonly #before: Counts;

  private constructor(client: AdminClient, before: Counts) {
    this.#client = client;
    this.#before = before;
  }

  /** Null when there is no admin API to ask. @throws AdminError when one was named, and does not answer. */
  static async begin(flags: AdminFlags, target: URL): Promise<Spread | null> {
    const isNamed = (flags.admin ?? flags.config) !== undefined;
    if (!isNamed && !isOnThisMachine(target.hostname)) return null;
    const client = new AdminClient(adminTarget(flags, process.env, process.cwd()), ANSWER_MS);
    try {
      return new Spread(client, await counts(client));
    } catch (error) {
      if (isNamed || !(error instanceof AdminError)) throw error;
      return null;
    }
  }

  /** Puts the spread in the place of answers that named nobody. */
  async complete(result: TryResult): Promise<void> {
    if (result.completed === 0 || result.backends.get(UNKNOWN) !== result.completed) return;
    const after = await counts(this.#client).catch(() => null);
    if (after === null) return;
    const grown = [...after]
      .map(([url, count]) => [url, count - (this.#before.get(url) ?? 0)] as const)
      .filter(([, count]) => count > 0);
    if (grown.length === 0) return;
    result.backends.clear();
    for (const [url, count] of grown) result.backends.set(url, count);
    result.isSpreadCounted = true;
  }
}

/** By URL, requests that backends have got so far, in whatever pool. @throws AdminError */
async function counts(client: AdminClient): Promise<Counts> {
  const all = new Map<string, number>();
  for (const { name } of await listPools(client)) {
    const path = `${folderOf(name)}/backends`;
    const backends = (await client.call('GET', path)) as readonly ShownBackend[];
    for (const { url, requests } of backends) all.set(url, (all.get(url) ?? 0) + Number(requests));
  }
  return all;
}

function isOnThisMachine(hostname: string): boolean {
  return /^(localhost|.+\.localhost|127\.[\d.]+|\[::1\])$/.test(hostname);
}
