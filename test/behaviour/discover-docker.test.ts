/** A pool whose backends are containers: listed over a socket, with their events followed. */
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { apiServer } from '../support/api-server.ts';
import { startFairlead } from '../support/fairlead.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';
import { configOf, listen, searchOf, untilFailing, untilThere } from './discovery-stage.ts';

test('containers come and go as events tell, and the last good list outlives a daemon that is gone', async () => {
  const port = await listen('127.0.0.2', 0);
  await listen('127.0.0.3', port);
  const container = (address: string, more: object = {}) => ({
    Id: `c-${address}`,
    Names: [`/web-${address}`],
    State: 'running',
    Status: 'Up 3 minutes',
    Labels: { 'fairlead.pool': 'app' },
    Ports: [{ PrivatePort: port, Type: 'tcp' }],
    NetworkSettings: { Networks: { bridge: { IPAddress: address } } },
    ...more,
  });
  let list: unknown[] = [container('127.0.0.2')];
  let isBroken = false;
  const streams: ServerResponse[] = [];
  const socketPath = join(temporaryFolder('docker'), 'd.sock');
  const server = await apiServer(
    (_request, response, { pathname }) => {
      if (isBroken) {
        response.writeHead(500);
        response.end('{"message":"daemon is shutting down"}');
      } else if (pathname === '/_ping') {
        response.setHeader('Api-Version', '1.45');
        response.end('OK');
      } else if (pathname === '/v1.45/containers/json') response.end(JSON.stringify(list));
      else if (pathname === '/v1.45/events') {
        response.flushHeaders();
        streams.push(response);
      }
    },
    { socketPath },
  );
  const config = configOf({ docker: { endpoint: server.url } });
  const fairlead = await startFairlead({ config });
  expect(await untilThere(fairlead, '2')).toMatchObject([{ found_by: 'docker', weight: 1 }]);
  const asked = server.asked.map((one) => decodeURIComponent(one));
  expect(asked).toContain(
    '/v1.45/containers/json?filters={"label":["fairlead.pool=app"],"status":["running"]}',
  );
  expect(asked).toContain(
    '/v1.45/events?filters={"type":["container"],"label":["fairlead.pool=app"]}',
  );

  const label = { Labels: { 'fairlead.pool': 'app', 'fairlead.weight': '7' } };
  const starting = container('127.0.0.3', { Status: 'Up 1 second (health: starting)' });
  list = [container('127.0.0.2', label), starting, container('127.0.0.9', { Ports: [] })];
  const stream = await waitFor(() => streams.at(-1));
  stream.write('{"Type":"container","Action":"start"}\n');
  await waitFor(async () => (await searchOf(fairlead)).left_out.length === 1);
  expect(await untilThere(fairlead, '2')).toMatchObject([{ weight: 7 }]);
  expect((await searchOf(fairlead)).left_out).toEqual([
    'the container web-127.0.0.9 exposes no port: say which by the label fairlead.port',
  ]);

  list = [container('127.0.0.2'), container('127.0.0.3', { Status: 'Up 5 seconds (healthy)' })];
  stream.write('{"Type":"container","Action":"health_status: healthy"}\n');
  await untilThere(fairlead, '2', '3');

  // Cut in the middle of a line, and what has changed meanwhile.
  list = [container('127.0.0.3')];
  stream.write('{"Type":"cont');
  server.cut();
  await untilThere(fairlead, '3');

  isBroken = true;
  server.cut();
  await untilFailing(fairlead, 'GET /_ping: 500');
  expect((await fetch(fairlead.url)).status).toBe(200);
  isBroken = false;
  list = [];
  await untilFailing(fairlead, 'it has no backend');
  await untilThere(fairlead, '3');
  list = [container('127.0.0.2'), container('127.0.0.3')];
  (await waitFor(() => streams.at(-1))).write('{"Type":"container","Action":"start"}\n');
  await untilThere(fairlead, '3', '2');
}, 60_000);

test('without a daemon it is asked again, and it is said where', async () => {
  const endpoint = `unix:${join(temporaryFolder('docker'), 'none.sock')}`;
  const fairlead = await startFairlead({ config: configOf({ docker: { endpoint } }) });
  const { asks } = await untilFailing(fairlead, 'ENOENT');
  expect(asks).toBe(`containers with fairlead.pool=app in Docker at ${endpoint}`);
});
