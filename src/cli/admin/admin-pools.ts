/**
 * Which pool a command is about, and in which one a backend is: ids are given in one row over all pools, while a URL may stand
 * in several of them.
 */

import { DEFAULT_POOL } from '../../config/settings.ts';
import { parseBackendUrl, shownUrl } from '../../config/values/backend-url.ts';
import { EXIT_FAILED, EXIT_USAGE } from '../exit.ts';
import { UsageError } from '../tool-flags.ts';
import { type AdminClient, AdminError, type JsonObject } from './admin-client.ts';

/** Of the commands that are about a pool, or about a backend. */
export const POOL_FLAG = {
  pool: { type: 'string', value: 'NAME', help: 'the pool that it is about (default)' },
} as const;

/** A pool as the API shows it: the fields that commands use. */
export interface ShownPool extends JsonObject {
  readonly name: string;
  /** A route leads there. */
  readonly routed: boolean;
  readonly total_backends: number;
}

/** A backend as the API shows it: the fields that commands use. */
export interface ShownBackend extends JsonObject {
  readonly id: number;
  readonly url: string;
  readonly weight: number;
  readonly alive: boolean;
  readonly state: string;
  readonly health: string;
}

export interface FoundBackend {
  readonly id: number;
  /** Of the calls about it. */
  readonly path: string;
}

/** What stands before the paths of the calls of a pool. */
export function folderOf(pool = DEFAULT_POOL): string {
  return pool === DEFAULT_POOL ? '' : `/pools/${encodeURIComponent(pool)}`;
}

export async function listPools(client: AdminClient): Promise<readonly ShownPool[]> {
  return (await client.call('GET', '/pools')) as readonly ShownPool[];
}

/**
 * The pool of a command that was given one, or none. Undefined: there is only one, of which nobody has to speak.
 * @throws AdminError where the pool that is meant without a name gets no requests
 */
export async function poolFor(
  client: AdminClient,
  given: string | undefined,
): Promise<string | undefined> {
  if (given !== undefined) return given;
  const pools = await listPools(client);
  if (pools.length === 1) return undefined;
  if (pools.find(({ name }) => name === DEFAULT_POOL)?.routed === true) return DEFAULT_POOL;
  const others = pools.filter(({ name }) => name !== DEFAULT_POOL);
  throw new AdminError(
    `no route leads to the pool ${DEFAULT_POOL} (${sayWhich(others.map(({ name }) => name))})`,
    EXIT_USAGE,
    0,
  );
}

/** By its id, or by its URL in any spelling; in all pools unless one is given. @throws UsageError, AdminError */
export async function findBackend(
  client: AdminClient,
  which: string,
  pool: string | undefined,
): Promise<FoundBackend> {
  return /^\d+$/.test(which) ? findById(client, which, pool) : findByUrl(client, which, pool);
}

async function findById(
  client: AdminClient,
  id: string,
  pool: string | undefined,
): Promise<FoundBackend> {
  const names = pool === undefined ? (await listPools(client)).map(({ name }) => name) : [pool];
  for (const name of names) {
    const path = `${folderOf(name)}/backends/${id}`;
    try {
      const backend = (await client.callForObject('GET', path)) as ShownBackend;
      return { id: backend.id, path };
    } catch (error) {
      // Where one pool only was asked, it is the API's to say whether that, too, is not there.
      const isElsewhere = error instanceof AdminError && error.status === 404 && names.length > 1;
      if (!isElsewhere) throw error;
    }
  }
  throw notThere(JSON.stringify(id), pool);
}

async function findByUrl(
  client: AdminClient,
  text: string,
  pool: string | undefined,
): Promise<FoundBackend> {
  const parsed = parseBackendUrl(text);
  if (!parsed.ok)
    throw new UsageError(`${shownUrl(text)} is neither an id nor a URL: it ${parsed.reason}`);
  const { url } = parsed.address;
  const names = pool === undefined ? (await listPools(client)).map(({ name }) => name) : [pool];
  const found: (FoundBackend & { readonly pool: string })[] = [];
  for (const name of names) {
    const path = `${folderOf(name)}/backends`;
    const backends = (await client.call('GET', path)) as readonly ShownBackend[];
    const backend = backends.find((one) => one.url === url);
    if (backend !== undefined)
      found.push({ id: backend.id, path: `${path}/${backend.id}`, pool: name });
  }
  const [first, ...others] = found;
  if (first === undefined) throw notThere(url, pool);
  if (others.length === 0) return first;
  const all = found.map((one) => `backend ${one.id} of pool ${one.pool}`).join(' and ');
  throw new AdminError(
    `${url} is ${all} (${sayWhich(found.map((one) => one.pool))}, or take the id)`,
    EXIT_USAGE,
    0,
  );
}

function notThere(what: string, pool: string | undefined): AdminError {
  const where = pool === undefined ? '' : ` in pool ${pool}`;
  const text = `There is no backend ${what}${where}. (fairlead status lists them)`;
  return new AdminError(text, EXIT_FAILED, 404);
}

/** More of them are a list, not a hint. */
const MOST_SAID = 8;

function sayWhich(names: readonly string[]): string {
  const said = names.slice(0, MOST_SAID).map((name) => `--pool ${name}`);
  const more = names.length > MOST_SAID ? ' or another: fairlead status lists them' : '';
  return `say which: ${said.join(' or ')}${more}`;
}
