/** The cookie that carries a session: which of several counts, and what it says to browsers. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeCertificate } from '../support/certificate.ts';
import type { RawResponse } from '../support/raw-client.ts';
import { hasTool } from '../support/tools.ts';
import { type NamedPool, startPool } from './named-pool.ts';
import { QUIET_HEALTH } from './stage.ts';

function cookies(response: RawResponse): readonly string[] {
  return response.fields.get('set-cookie') ?? [];
}

/** `NAME=VALUE` of a client whose session is at the backend of this name. */
async function pairOf(the: NamedPool, name: string): Promise<string> {
  for (;;) {
    const response = await the.ask();
    if (String(response.body) === name) return (cookies(response)[0] ?? '').split(';')[0] ?? '';
  }
}

test('of several cookies of its name, left over from other paths, the one that is ours counts', async () => {
  const the = await startPool(3, { sticky: { by: 'cookie' } });
  const pair = await pairOf(the, 'B');
  const stale = `fairlead-${the.fairlead.pool}=left-over-from-some-path`;
  for (const fields of [
    [`Cookie: ${stale}; ${pair}`],
    [`Cookie: ${pair}; ${stale}`],
    [`Cookie: a=b; ${stale}; fairlead-${the.fairlead.pool}=; ${pair}; c=d`],
    [`Cookie: ${stale}`, `Cookie: ${pair}`],
    [`Cookie: ${pair}`, `Cookie: ${stale}`],
  ]) {
    for (let round = 0; round < 3; round++) {
      const again = await the.ask({ fields });
      expect([fields, String(again.body), cookies(again)]).toEqual([fields, 'B', []]);
    }
  }
});

test('of two that are ours, the one goes on whose backend keeps its sessions', async () => {
  const the = await startPool(3, { sticky: { by: 'cookie' } });
  const [first, second] = [await pairOf(the, 'A'), await pairOf(the, 'C')];
  const fields = [`Cookie: ${first}; ${second}`];
  expect(String((await the.ask({ fields })).body)).toBe('A');
  expect((await the.call('PATCH', '/backends/0', { state: 'disabled' })).status).toBe(200);
  const again = await the.ask({ fields });
  expect([String(again.body), cookies(again)]).toEqual(['C', []]);
});

test('the attributes are those of the config, and a reload changes them', async () => {
  const sticky = { by: 'cookie', name: 's', same_site: 'strict', domain: 'a.example', path: '/p' };
  const the = await startPool(1, { sticky }, { isAlone: true });
  const line = 'Path=/p; Domain=a.example; Max-Age=3600; HttpOnly; SameSite=Strict';
  expect(cookies(await the.ask())[0]).toMatch(new RegExp(`^s=[\\w-]{22}; ${line}$`));
  const config = {
    ...QUIET_HEALTH,
    backends: the.backends.map(({ url }) => url),
    sticky: { by: 'cookie', name: 's', same_site: 'none', secure: true },
  };
  await writeFile(join(the.fairlead.cwd, 'fairlead.config.json'), JSON.stringify(config));
  expect((await the.call('POST', '/reload')).status).toBe(200);
  expect(cookies(await the.ask())[0]).toMatch(
    /^s=[\w-]{22}; Path=\/; Max-Age=3600; HttpOnly; SameSite=None; Secure$/,
  );
});

test.each([
  ['https', true],
  ['HTTPS, http', true],
  ['wss', true],
  ['http', false],
  ['http, https', false],
  [null, false],
])('behind a trusted proxy that says %j it is Secure: %j', async (said, isSecure) => {
  const trusting = await startPool(1, {
    sticky: { by: 'cookie', same_site: 'none' },
    trusted_proxies: ['127.0.0.1'],
  });
  const fields = said === null ? [] : [`X-Forwarded-Proto: ${said}`];
  const [line = ''] = cookies(await trusting.ask({ fields }));
  expect(line.endsWith(isSecure ? '; HttpOnly; SameSite=None; Secure' : '; HttpOnly')).toBe(true);
});

test('a peer that is not trusted says what it likes', async () => {
  const the = await startPool(1, { sticky: { by: 'cookie' } });
  const [line = ''] = cookies(await the.ask({ fields: ['X-Forwarded-Proto: https'] }));
  expect(line).toMatch(/; HttpOnly; SameSite=Lax$/);
});

test.runIf(hasTool('openssl'))(
  'a trusted proxy that comes by TLS for a client that does not says so',
  async () => {
    const config = {
      sticky: { by: 'cookie' },
      trusted_proxies: ['127.0.0.1'],
      ssl: makeCertificate(),
    };
    const the = await startPool(1, config, { isAlone: true });
    const lineOf = async (...fields: string[]) =>
      cookies(await the.ask({ tls: true, fields }))[0] ?? '';
    expect(await lineOf()).toMatch(/; Secure$/);
    expect(await lineOf('X-Forwarded-Proto: http')).toMatch(/; SameSite=Lax$/);
  },
);
