/** One proxy and a few raw backends, whose scripts are the same at all of them where the test does not say which is asked. */
import { rawClient } from '../support/raw-client.ts';
import { type Part, type PartOptions, startPart } from '../support/shared-fairlead.ts';
import { waitFor } from '../support/wait-for.ts';
import {
  get as headFor,
  metrics,
  QUIET_HEALTH,
  type Script,
  type ScriptedBackend,
  scriptedBackend,
  silent,
} from './stage.ts';

interface Explained {
  readonly pool: { readonly candidates: readonly { readonly id: number; readonly role: string }[] };
}

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
export const BUSY = 'HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy';

/** Waits until a data thread picks from these: it hears of what the log and the admin API say a moment later than whoever reads them. */
async function eligible({ adminUrl, host }: Part, ids: readonly number[]): Promise<void> {
  const question = { method: 'POST', body: JSON.stringify({ host }) };
  await waitFor(async () => {
    const answer = await fetch(new URL('/explain', adminUrl), question);
    const { pool } = (await answer.json()) as Explained;
    return ids.every((id) => pool.candidates.find((one) => one.id === id)?.role === 'eligible');
  });
}

/** @param of how many, or the weight of each */
export async function severalBackends(
  of: number | readonly number[],
  config: Readonly<Record<string, unknown>>,
  options: PartOptions = {},
) {
  const backends: ScriptedBackend[] = [];
  const weights = typeof of === 'number' ? Array.from({ length: of }, () => 1) : of;
  for (const _ of weights) backends.push(await scriptedBackend());
  const urls = backends.map(({ url }) => url);
  const fairlead = await startPart(
    {
      ...QUIET_HEALTH,
      backends: urls.map((url, index) => ({ url, weight: weights[index] })),
      outlier_detection: false,
      ...config,
    },
    { args: ['--threads', '1'], ...options },
  );
  for (const url of urls) {
    await fairlead.waitForLog(({ event, backend }) => event === 'backend.up' && backend === url);
  }
  const weighty = weights.flatMap((weight, index) =>
    weight > 0 ? [fairlead.firstId + index] : [],
  );
  await eligible(fairlead, weighty);
  /** The head of a request for them. */
  const get = (path: string, fields?: readonly string[], method?: string): string =>
    headFor(path, fields, method, fairlead.host);
  const served = (path: string): number =>
    backends.reduce((sum, backend) => sum + backend.served(path).length, 0);
  return {
    fairlead,
    backends,
    served,
    get,
    /** The id of a backend. */
    id: (index: number): number => fairlead.firstId + index,
    everywhere(path: string, script: Script): void {
      for (const backend of backends) backend.on(path, script);
    },
    /** Sends a request that nobody answers, and waits until a backend has it. */
    async occupy(path = '/occupied'): Promise<void> {
      for (const backend of backends) backend.on(path, silent);
      const client = await rawClient(fairlead.port);
      await client.write(get(path));
      await waitFor(() => served(path) === 1);
    },
    async ask(path: string, fields: readonly string[] = []) {
      const client = await rawClient(fairlead.port);
      await client.write(get(path, fields));
      const response = await client.readResponse();
      client.reset();
      return response;
    },
    metric: async (name: string): Promise<number> =>
      (await metrics(fairlead)).get(`${name}{pool="${fairlead.pool}"}`) ?? -1,
    /** Waits until the circuit breaker of a backend is half open now (the log only says that it was at some time), and it is picked. */
    async halfOpen(index: number): Promise<void> {
      const id = fairlead.firstId + index;
      await waitFor(async () => {
        const view = await (await fetch(`${fairlead.adminUrl}/backends/${id}`)).json();
        return (view as { breaker: string }).breaker === 'half-open';
      });
      await eligible(fairlead, [id]);
    },
    line: (path: string) =>
      waitFor(() => fairlead.accessLines().find((line) => line['path'] === path)),
  };
}
