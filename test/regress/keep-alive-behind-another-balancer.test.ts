import { expect, test } from 'vitest';
import { get, startStage } from '../behaviour/stage.ts';
import { runFairlead } from '../support/fairlead.ts';

/** nodejs/node#17749: a proxy that closes idle connections before the balancer in front of it does makes 502s there. */
test('idle client connections stay 75 s by default: longer than the 60 s of common balancers', async () => {
  const { stdout } = await runFairlead(['print-config']);
  expect(stdout).toMatch(/keep_alive\W+(75s|1m15s)/);
});

/** nodejs/node#60617: stopping reset idle connections at once, with requests on their way. */
test('a stopping proxy answers what is on its way on idle connections, with Connection: close', async () => {
  const stage = await startStage();
  const clients = await Promise.all(Array.from({ length: 5 }, () => stage.client()));
  for (const client of clients) {
    await client.write(get('/before'));
    await client.readResponse();
  }
  const stopped = stage.fairlead.stop();
  await stage.fairlead.waitForLog(
    ({ event }) => event?.includes('stopping') === true || event?.includes('drain') === true,
  );
  for (const client of clients) {
    await client.write(get('/on-its-way'));
    const response = await client.readResponse();
    expect(response.status).toBe(200);
    expect(response.fields.get('connection')).toEqual(['close']);
    await client.readToEnd();
    expect(await client.closed).toBe('end');
    client.end();
  }
  expect(await stopped).toBe(0);
});
