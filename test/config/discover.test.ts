/** `discover`: what it takes, and what follows for the name that certificates must have. */
import { expect, test } from 'vitest';
import { effectiveConfig } from '../../src/config/effective.ts';
import { loadText, problemsOf, settingsOf } from './load-text.ts';

const NAMED = 'must be a URL with a host name, such as http://app.service:8080';

test.each([
  [
    'discover: true',
    '1:11: discover: must be false or a mapping, such as { dns: "http://app.service:8080" }, not true',
  ],
  ['discover: {}', '1:11: discover.dns: is missing'],
  ['discover: { dns: "http://10.0.0.1" }', `1:18: discover.dns: ${NAMED}, not "http://10.0.0.1"`],
  ['discover: { dns: "unix:/run/a.sock" }', `1:18: discover.dns: ${NAMED}, not "unix:/run/a.sock"`],
  ['discover: { dns: "app" }', '1:18: discover.dns: "app" has no scheme (write http://app)'],
  ['discover: { dns: "http://app", every: 10ms }', '1:39: discover.every: must be at least 1s'],
  [
    'discover: { dns: "http://u:SECRETPW@h" }',
    '1:18: discover.dns: "http://***@h" must not hold a user name or password',
  ],
  ['discover: { dns: "http://a", srv: a }', '1:30: discover.srv: unknown key'],
])('%s', (text, problem) => {
  expect(problemsOf(text)[0]).toContain(`c.yaml:${problem}`);
});

test('it stands for backends: what no route is for goes there, and a printed config says the same', () => {
  const text =
    'discover: { dns: "http://app.test:8080/", every: 5s }\npools: { b: {} }\nroutes: [{ path: /b, pool: b }]';
  const loaded = loadText(text);
  if (!loaded.ok) throw new Error('not read');
  expect(loaded.settings.routedPools).toEqual(['b', 'default']);
  const { config } = effectiveConfig(loaded);
  expect(config).toMatchObject({ discover: { dns: 'http://app.test:8080', every: '5s' } });
  const again = settingsOf(JSON.stringify(config), { name: 'c.json' });
  expect(again.discovery).toEqual(loaded.settings.pools[0].discovery);
});

const nameOf = (text: string) => settingsOf(text).backendTls?.serverName;

test('certificates must have the name, unless another one is said', () => {
  const found = 'discover: { dns: "https://app.test" }';
  expect(nameOf(found)).toBe('app.test');
  expect(nameOf(`${found}\nbackend_tls: { server_name: other.test }`)).toBe('other.test');
  expect(nameOf('discover: { dns: "http://app.test" }')).toBeUndefined();
  expect(problemsOf(`${found}\nbackends: ["https://a.test"]`)).toEqual([
    'c.yaml:1:13: backend_tls.server_name: is missing: what discover finds is asked for one name, and each of backends for another',
  ]);
});
