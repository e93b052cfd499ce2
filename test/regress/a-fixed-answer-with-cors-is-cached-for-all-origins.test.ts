/**
 * A route with `respond`, a `vary` of its own and `cors` said no `Vary: Origin`: caches gave the answer for one origin to the pages of
 * all others. And what such an answer said of CORS itself stood beside what the route says.
 */
import { expect, test } from 'vitest';
import { get, startProxy } from '../behaviour/stage.ts';
import { problemsOf } from '../config/load-text.ts';
import { rawClient } from '../support/raw-client.ts';

test('a fixed answer varies by what it says, and by the origin', async () => {
  const cors = { origins: ['https://app.test'] };
  const respond = { body: 'fixed', headers: { vary: 'Accept-Language' } };
  const routes = [{ path: '/fixed', respond, cors }];
  const fairlead = await startProxy([], { routes });
  const client = await rawClient(fairlead.port);
  await client.write(get('/fixed', ['Origin: https://app.test']));
  const { fields } = await client.readResponse();
  expect(fields.get('vary')).toEqual(['Accept-Language', 'Origin']);
  expect(fields.get('access-control-allow-origin')).toEqual(['https://app.test']);
  await client.write(get('/fixed', ['Origin: https://other.test']));
  const other = await client.readResponse();
  expect(other.fields.get('vary')).toEqual(['Accept-Language', 'Origin']);
});

test('beside cors, it says nothing of CORS itself', () => {
  const text =
    'backends: [":1"]\nroutes:\n  - { path: /a, cors: { origins: ["https://a.test"] }, respond: { headers: { access-control-allow-origin: "*" } } }';
  expect(problemsOf(text).join('\n')).toMatch(
    /respond\.headers\.access-control-allow-origin: access-control-allow-origin contradicts cors/,
  );
});
