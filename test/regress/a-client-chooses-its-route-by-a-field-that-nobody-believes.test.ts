/**
 * A route for `x-forwarded-proto: https` was open to whoever sent the field: the route believed it, and what went on to the
 * backend said http. The same with fields that the client's Connection field names, which go no further.
 */
import { expect, test } from 'vitest';
import { QUIET_HEALTH } from '../behaviour/stage.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { rawClient } from '../support/raw-client.ts';

const TRUSTED = { trusted_proxies: ['127.0.0.1'] };

/** The pool `own` has one route, by these fields. */
async function site(headers: Readonly<Record<string, unknown>>, config: object): Promise<Fairlead> {
  const [own, rest] = await Promise.all(
    ['own', 'rest'].map((name) =>
      httpBackend((_request, response) => {
        response.end(name);
      }),
    ),
  );
  const fairlead = await startFairlead({
    config: {
      ...QUIET_HEALTH,
      backends: [rest?.url],
      pools: { own: { backends: [own?.url], health_check: { method: 'tcp' } } },
      routes: [{ headers, pool: 'own' }],
      ...config,
    },
  });
  for (const { url = '' } of [own ?? {}, rest ?? {}]) {
    await fairlead.waitForLog(
      ({ event, msg }) => event === 'backend.up' && msg?.includes(url) === true,
    );
  }
  return fairlead;
}

async function ask({ port }: Fairlead, fields: readonly string[]): Promise<string> {
  const client = await rawClient(port);
  await client.write(['GET / HTTP/1.1', 'Host: a', ...fields, '', ''].join('\r\n'));
  const { body } = await client.readResponse();
  client.end();
  return String(body);
}

test.each<[string, string, object]>([
  ['a client', 'rest', {}],
  ['a trusted proxy', 'own', TRUSTED],
])('what %s says of the scheme gets it to: %s', async (_who, pool, config) => {
  const fairlead = await site({ 'x-forwarded-proto': 'https' }, config);
  expect(await ask(fairlead, ['X-Forwarded-Proto: https'])).toBe(pool);
  // Nobody can have it taken away, either.
  const named = ['X-Forwarded-Proto: https', 'Connection: x-forwarded-proto'];
  expect(await ask(fairlead, named)).toBe(pool);
  expect(await ask(fairlead, ['X_Forwarded_Proto: https'])).toBe('rest');
});

test('a field for this hop only gets nobody anywhere', async () => {
  const fairlead = await site({ 'x-beta': true }, {});
  expect(await ask(fairlead, ['X-Beta: 1'])).toBe('own');
  expect(await ask(fairlead, ['X-Beta: 1', 'Connection: keep-alive, X-Beta'])).toBe('rest');
});

test('a protocol that may be had is a way to choose', async () => {
  const fairlead = await site({ upgrade: 'websocket' }, {});
  expect(await ask(fairlead, ['Upgrade: WebSocket', 'Connection: Upgrade'])).toBe('own');
  expect(await ask(fairlead, ['Upgrade: websocket'])).toBe('rest');
  expect(await ask(fairlead, ['Upgrade: h2c', 'Connection: Upgrade'])).toBe('rest');
});
