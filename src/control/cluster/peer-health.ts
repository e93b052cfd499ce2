/** What the other instances think of the health of backends: asked of their admin APIs, within a bounded time. */
import { request } from 'node:http';
import { request as requestTls } from 'node:https';
import { z } from 'zod';
import type { Member } from './members.ts';

const ANSWER_MS = 500;
const MOST_BYTES = 16 * 1024 * 1024;

/** What `GET /cluster/health` answers. */
const HEALTH = z.object({
  instance: z.string(),
  backends: z.array(z.object({ pool: z.string(), url: z.string(), alive: z.boolean() })),
});

/** Whether it is alive, by pool and URL. */
export type HealthView = ReadonlyMap<string, boolean>;

export interface Disagreement {
  readonly pool: string;
  readonly backend: string;
  readonly alive: readonly string[];
  readonly not_alive: readonly string[];
}

export interface PeerHealth {
  readonly disagreements: readonly Disagreement[];
  /** They did not answer in time, or refused; why. */
  readonly silent: readonly { readonly instance: string; readonly reason: string }[];
}

/** @param own of this instance, by pool and URL, as of the others. @param shownTo what this peer is shown as `Authorization`. */
export async function compareHealth(
  self: string,
  own: HealthView,
  members: readonly Member[],
  shownTo: (peer: string) => string | undefined,
): Promise<PeerHealth> {
  const views = new Map<string, HealthView>([[self, own]]);
  const silent: { instance: string; reason: string }[] = [];
  const others = members.filter(({ instance }) => instance !== self);
  await Promise.all(
    others.map(async ({ instance, address }) => {
      try {
        if (address === null) throw new Error('it says no address');
        views.set(instance, await askHealth(instance, address, shownTo(instance)));
      } catch (error) {
        silent.push({ instance, reason: error instanceof Error ? error.message : String(error) });
      }
    }),
  );
  return { disagreements: disagreementsIn(views), silent };
}

export function healthKey(pool: string, url: string): string {
  return `${pool} ${url}`;
}

/** Where two who know a backend differ. Who does not have it has no opinion. */
export function disagreementsIn(views: ReadonlyMap<string, HealthView>): Disagreement[] {
  const keys = new Set([...views.values()].flatMap((view) => [...view.keys()]));
  const found: Disagreement[] = [];
  for (const key of keys) {
    const saying = (isAlive: boolean): string[] =>
      [...views].filter(([, view]) => view.get(key) === isAlive).map(([instance]) => instance);
    const [alive, dead] = [saying(true), saying(false)];
    if (alive.length === 0 || dead.length === 0) continue;
    const at = key.indexOf(' ');
    found.push({ pool: key.slice(0, at), backend: key.slice(at + 1), alive, not_alive: dead });
  }
  return found;
}

async function askHealth(
  instance: string,
  address: string,
  authorization: string | undefined,
): Promise<HealthView> {
  const signal = AbortSignal.timeout(ANSWER_MS);
  const text = await getText(`${address}/cluster/health`, authorization, signal);
  const answer = HEALTH.parse(JSON.parse(text));
  if (answer.instance !== instance) {
    throw new Error(`${address} is ${answer.instance}: set cluster.address where ${instance} runs`);
  }
  return new Map(answer.backends.map(({ pool, url, alive }) => [healthKey(pool, url), alive]));
}

function getText(
  url: string,
  authorization: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = authorization === undefined ? {} : { authorization };
    const options = { headers, signal, agent: false as const };
    const asked = url.startsWith('https:') ? requestTls(url, options) : request(url, options);
    asked.on('error', (error) => {
      reject(signal.aborted ? new Error(`no answer within ${ANSWER_MS} ms`) : error);
    });
    asked.on('response', (response) => {
      const parts: Buffer[] = [];
      let length = 0;
      response.on('data', (part: Buffer) => {
        length += part.length;
        if (length > MOST_BYTES) asked.destroy(new Error('its answer is too long'));
        else parts.push(part);
      });
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode: status = 0 } = response;
        if (status === 200) resolve(Buffer.concat(parts).toString());
        else reject(new Error(`it answers ${status}`));
      });
    });
    asked.end();
  });
}
