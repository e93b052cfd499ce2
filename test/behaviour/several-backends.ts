/** One proxy and a few raw backends, whose scripts are the same at all of them where the test does not say which is asked. */
import { rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';
import {
  get,
  metrics,
  type Script,
  type ScriptedBackend,
  scriptedBackend,
  silent,
  startProxy,
} from './stage.ts';

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
export const BUSY = 'HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy';

export async function severalBackends(
  count: number,
  config: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string>> = {},
) {
  const backends: ScriptedBackend[] = [];
  for (let index = 0; index < count; index++) backends.push(await scriptedBackend());
  const fairlead = await startProxy(
    backends.map(({ url }) => url),
    { outlier_detection: false, ...config },
    { env },
  );
  const served = (path: string): number =>
    backends.reduce((sum, backend) => sum + backend.served(path).length, 0);
  return {
    fairlead,
    backends,
    served,
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
      (await metrics(fairlead)).get(`${name}{pool="default"}`) ?? -1,
    /** Waits until the circuit breaker of a backend is half open now: the log only says that it was at some time. */
    halfOpen: (index: number): Promise<boolean> =>
      waitFor(async () => {
        const view = await (await fetch(`${fairlead.adminUrl}/backends/${index}`)).json();
        return (view as { breaker: string }).breaker === 'half-open';
      }),
    line: (path: string) =>
      waitFor(() => fairlead.accessLines().find((line) => line['path'] === path)),
  };
}
