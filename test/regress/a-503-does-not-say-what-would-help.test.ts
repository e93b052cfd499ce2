import { once } from 'node:events';
import { connect } from 'node:tls';
import { expect, test } from 'vitest';
import { describeConnectError } from '../../src/data/backend/connect-errors.ts';
import { startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';
import { waitFor } from '../support/wait-for.ts';

/**
 * An app whose check is answered with a redirect, as one behind a login does it: the log said "the pool has 1 backends" for
 * each request, and nothing of the setting that would have helped.
 */
test('the log names the setting that would help, and the client sees nothing of the inside', async () => {
  let status = 302;
  const backend = await httpBackend((_request, response) => {
    response.writeHead(status, { location: '/login' }).end();
  });
  const fairlead = await startFairlead({
    config: {
      backends: [backend.url],
      health_check_path: '/health',
      health_check_frequency: '100ms',
      // A busy machine must not look like a slow backend.
      health_check_timeout: '10s',
      access_log: true,
    },
  });
  await fairlead.waitForLog(({ event }) => event === 'backend.down');
  const detailOf = async (path: string): Promise<unknown> => {
    const response = await fetch(`${fairlead.url}${path}`, {
      headers: { accept: 'application/json' },
    });
    expect(response.status).toBe(503);
    const body = await response.text();
    expect(JSON.parse(body)).toMatchObject({ code: 'ERR_NO_BACKEND' });
    expect(body).not.toMatch(/health_check|127\.0\.0\.1/);
    const line = await waitFor(() => fairlead.accessLines().find((one) => one['path'] === path));
    return line['error_detail'];
  };
  expect(await detailOf('/redirected')).toMatch(
    `the pool has 1 backend; ${backend.url}: a check follows no redirects: health_check_path (--health-check-path, `,
  );

  // What would help has become something else, and the data threads hear of it.
  status = 401;
  await waitFor(async () => {
    const detail = await detailOf(`/${Math.random()}`);
    return String(detail).includes('/health is not for checks: health_check_path');
  });

  status = 200;
  await fairlead.waitForLog(({ event }) => event === 'backend.up');
  // The data threads hear of it a moment after the log.
  await waitFor(async () => (await fetch(`${fairlead.url}/served`)).status === 200);
});

/** Where no setting would help, "the pool has 1 backend" was all that was said, and of TLS a line of OpenSSL's sources. */
test('the log says what is wrong with the backend, in the words of who knows', async () => {
  const plain = await httpBackend();
  for (const [url, reason] of [
    [`http://127.0.0.1:${await freePort()}`, 'ECONNREFUSED'],
    [plain.url.replace('http:', 'https:'), 'TLS: wrong version number after'],
  ] as const) {
    const fairlead = await startFairlead({ config: { backends: [url], access_log: true } });
    const down = await fairlead.waitForLog(({ event }) => event === 'backend.down');
    expect(down['reason']).toContain(reason);
    expect((await fetch(fairlead.url)).status).toBe(503);
    const line = await waitFor(() => fairlead.accessLines()[0]);
    expect(line['error_detail']).toContain(`the pool has 1 backend; ${url}: `);
    expect(await fairlead.stop()).toBe(0);
  }
});

test('a handshake that a request needs fails in the same words', async () => {
  const { port } = await httpBackend();
  const [error] = (await once(connect({ port, host: '127.0.0.1' }), 'error').catch(
    (thrown: Error) => [thrown],
  )) as [Error];
  expect(describeConnectError(error)).toEqual({
    code: 'ERR_BACKEND_TLS',
    detail: 'TLS: wrong version number',
  });
});
