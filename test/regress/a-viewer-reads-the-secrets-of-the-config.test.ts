/**
 * A viewer could become an operator by waiting for a slip: where the config could not be read, the line with `admin.token` stood in
 * the log, in the events and in `GET /config:changes`. And whoever asked `/config`, `/routes` or `/explain` was told which API key
 * or token a route wants.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { digestOf } from '../../src/config/read/admin-token.ts';
import { eventStream } from '../support/event-stream.ts';
import { startFairlead } from '../support/fairlead.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const SECRET = 'geheim-3f1c';
const VIEWER = 'of-a-viewer';
const tokens = join(temporaryFolder(), 'tokens');
const configFile = join(temporaryFolder(), 'fairlead.yaml');

const configWith = (token: string, key = SECRET): string => `state_file: false
watch: false
admin: { tokens_file: ${tokens}, token: ${token} }
backends: ["http://127.0.0.1:1"]
routes:
  - { path: /a, headers: { X-Api-Key: ${key} }, pool: default }
  - { path: /b, query: { access_token: { prefix: ${SECRET} } }, pool: default }
  - { path: /c, headers: { X-Beta: "1", Authorization: true }, pool: default }
`;

const said = async (response: Response): Promise<string> =>
  `${response.status} ${await response.text()}`;

test('what is secret in a config is told to no viewer, in no log and in no event', async () => {
  writeFileSync(tokens, `eve viewer sha256:${digestOf(VIEWER).toString('hex')}\n`);
  writeFileSync(configFile, configWith(SECRET));
  const { adminUrl, output } = await startFairlead({ args: ['--config', configFile] });
  const as = async (token: string, path: string, body?: string): Promise<string> =>
    said(
      await fetch(`${adminUrl}${path}`, {
        headers: { Authorization: `Bearer ${token}` },
        ...(body !== undefined && { method: 'POST', body }),
      }),
    );

  const config = await as(VIEWER, '/config');
  expect(config).toContain('"x-api-key": "***"');
  expect(config).toContain('"x-beta": "1"');
  expect(config).toContain('"authorization": true');
  expect(await as(VIEWER, '/routes')).toContain('"access_token": "***"');
  const ofKey = await as(VIEWER, '/explain', '{"host":"x","path":"/a"}');
  expect(ofKey).toContain('x-api-key is not what the route wants, which is not shown');
  const ofToken = await as(VIEWER, '/explain', '{"host":"x","path":"/b"}');
  expect(ofToken).toContain('access_token is not what the route wants');
  const ofBeta = await as(VIEWER, '/explain', '{"host":"x","path":"/c"}');
  expect(ofBeta).toMatch(/x-beta is not \\"1\\"|authorization is not there/);
  for (const text of [config, ofKey, ofToken]) expect(text).not.toContain(SECRET);

  // Another key of a route is seen as such.
  const difference = await as(SECRET, '/config:validate', configWith(SECRET, 'another'));
  expect(difference).toMatch(/x-api-key",\s+"change": "changed",\s+"before": "\*\*\*"/);

  const seen = await eventStream(adminUrl, '/events?since=0', {
    Authorization: `Bearer ${VIEWER}`,
  });
  for (const slip of [`${SECRET} : x`, `"${SECRET}`, `*${SECRET}`]) {
    writeFileSync(configFile, configWith(slip));
    // Who may change everything is shown the line.
    expect(await as(SECRET, '/reload', '')).toMatch(/^422 [^]*"line": \d/);
    const shown = await as(VIEWER, '/config:changes');
    expect(shown).toMatch(/^422 [^]*"line": \d/);
    expect(shown).not.toContain(SECRET);
  }
  writeFileSync(configFile, configWith(`${SECRET} : x`));
  expect(await as(SECRET, '/config:changes')).toContain('"excerpt"');
  await seen.waitFor('config.refused', ({ msg }) => String(msg).includes('alias'));
  expect(JSON.stringify(seen.events)).not.toContain(SECRET);
  expect(output()).toContain('config.refused');
  expect(output()).not.toContain(SECRET);
});
