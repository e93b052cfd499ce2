/**
 * Where etcd did not answer in the middle of a change, the command line said that nobody knows whether it was made, and left out the id by
 * which the instance tells it later.
 */
import { expect, test } from 'vitest';
import { AdminClient } from '../../src/cli/admin/admin-client.ts';
import { explainError } from '../../src/control/admin/explain.ts';
import { problemBody } from '../../src/control/admin/problem.ts';
import { NotShared } from '../../src/control/cluster-port.ts';
import { httpBackend } from '../support/http-backend.ts';

const ID = '3f0f9c1e-3b53-4a8a-9d0c-3c1f4a5b6c7d';

test.each(['unknown', 'partly'] as const)('%s: the id is there, and how to ask', async (kind) => {
  const { url } = await httpBackend((_request, response) => {
    const problem = explainError(new NotShared(kind, 'no answer in time', ID));
    response.writeHead(problem?.status ?? 500);
    response.end(problem && JSON.stringify(problemBody(problem)));
  });
  const call = new AdminClient({ url, token: undefined }).call('PATCH', '/backends/0', {});
  await expect(call).rejects.toMatchObject({
    status: 504,
    exitCode: 1,
    message: expect.stringMatching(
      new RegExp(
        `no answer in time \\(see with fairlead status.*\\)\nwrite ${ID}: GET /cluster/writes/${ID} tells`,
      ),
    ),
  });
});
