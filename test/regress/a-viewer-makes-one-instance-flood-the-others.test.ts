/** Each `GET /cluster` asked the store and every peer: a viewer who called in a loop made one instance a flood for all others. */
import { expect, test } from 'vitest';
import { clusterRoutes } from '../../src/control/admin/cluster-routes.ts';
import type { AdminCall } from '../../src/control/admin/router.ts';
import type { ClusterPort } from '../../src/control/cluster-port.ts';

test('for viewers the peers are asked once, for an operator each time', async () => {
  const waiting: ((answer: object) => void)[] = [];
  const answered = new Promise<object>((resolve) => void waiting.push(resolve));
  let asked = 0;
  const describe = (): Promise<object> => {
    asked++;
    return answered;
  };
  const routes = clusterRoutes({ describe } as unknown as ClusterPort);
  const handle = routes.find(({ path }) => path === '/cluster')?.methods['GET']?.handle;
  const call = async (role: AdminCall['role']) => handle?.({ role } as AdminCall);

  const viewers = Array.from({ length: 20 }, () => call('viewer'));
  expect(asked).toBe(1);
  const operators = [call('operator'), call('operator')];
  expect(asked).toBe(3);
  waiting[0]?.({ name: 'a' });
  for (const answer of await Promise.all([...viewers, ...operators])) {
    expect(answer).toEqual({ status: 200, body: { name: 'a' } });
  }
});
