/** `discover`: what it takes, and what follows for the name that certificates must have. */
import { expect, test } from 'vitest';
import { effectiveConfig } from '../../src/config/effective/effective.ts';
import { loadText, problemsOf, settingsOf } from './load-text.ts';

const NAMED = 'must be a URL with a host name, such as http://app.service:8080';

test.each([
  [
    'discover: true',
    '1:11: discover: must be false or a mapping, such as { dns: "http://app.service:8080" }, not true',
  ],
  [
    'discover: {}',
    '1:11: discover: must name its source: one of dns, srv, docker, consul, kubernetes, file',
  ],
  [
    'discover: { dns: "http://a", srv: "http://_b._tcp.c" }',
    '1:35: discover.srv: must not stand beside dns: a pool has one source, and there may be several pools',
  ],
  [
    'discover: { srv: "http://_b._tcp.c:81" }',
    '1:18: discover.srv: http://_b._tcp.c:81 must not have a port: each record names one',
  ],
  [
    'discover: { srv: "http://[::1]" }',
    '1:18: discover.srv: must be a URL with the name of a service in DNS, such as http://_http._tcp.app.service, not "http://[::1]"',
  ],
  [
    'discover: { dns: "http://a", min_backends: 0 }',
    '1:44: discover.min_backends: must be at least 1: DNS has no empty answer',
  ],
  ['discover: { dns: "http://10.0.0.1" }', `1:18: discover.dns: ${NAMED}, not "http://10.0.0.1"`],
  ['discover: { dns: "unix:/run/a.sock" }', `1:18: discover.dns: ${NAMED}, not "unix:/run/a.sock"`],
  ['discover: { dns: "app" }', '1:18: discover.dns: "app" has no scheme (write http://app)'],
  [
    'discover: { file: a, every: 1s }',
    '1:29: discover.every: is for dns and srv: file tells by itself',
  ],
  ['discover: { file: "" }', '1:19: discover.file: must not be empty'],
  ['discover: { dns: "http://app", every: 10ms }', '1:39: discover.every: must be at least 1s'],
  [
    'discover: { dns: "http://u:SECRETPW@h" }',
    '1:18: discover.dns: "http://***@h" must not hold a user name or password',
  ],
  [
    'discover: { dns: "http://a", nds: a }',
    '1:30: discover.nds: unknown key (did you mean "dns"?)',
  ],
])('%s', (text, problem) => {
  expect(problemsOf(text)[0]).toContain(`c.yaml:${problem}`);
});

const FOUND = [
  'docker: {}',
  'docker: { endpoint: "https://d.test:2376", labels: { a: b, c: "" }, network: n, port: 80, ca_file: /a.pem, cert_file: /c.pem, key_file: /k.pem, path: /x }',
  'consul: { service: web, datacenter: dc1, tags: [a, b] }',
  'kubernetes: { service: web, port: http }',
  'kubernetes: { service: web, namespace: n, port: 8080, api_server: "https://k.test:6443", token_file: /t, scheme: http }',
];

test.each(FOUND)('%s: a printed config says the same', (source) => {
  const loaded = loadText(`discover: { ${source}, min_backends: 2 }`);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded));
  const { config } = effectiveConfig(loaded);
  const again = settingsOf(JSON.stringify(config), { name: 'c.json' });
  expect(again.discovery).toEqual(loaded.settings.pools[0].discovery);
});

test.each([
  ['docker: { labels: {} }', 'discover.docker.labels: must not be empty'],
  [
    'docker: { ca_file: a }',
    'discover.docker.ca_file: has no effect: the API is not asked over https',
  ],
  ['docker: { path: a }', 'discover.docker.path: must be a path, such as /base'],
  ['docker: { endpoint: "http://a/b" }', 'discover.docker.endpoint: must be where the server is'],
  ['consul: {}', 'discover.consul.service: is missing'],
  [
    'consul: { service: a, scheme: https }',
    'backend_tls.server_name: is missing: discover finds addresses',
  ],
  [
    'consul: { service: a, endpoint: "https://c", cert_file: a }',
    'discover.consul.key_file: is missing: a certificate and its key go together',
  ],
  [
    'kubernetes: { service: a, token_file: t }',
    'discover.kubernetes.token_file: is for api_server',
  ],
  [
    'kubernetes: { service: a, api_server: "https://k" }',
    'discover.kubernetes.namespace: is missing',
  ],
  ['kubernetes: { service: a, port: 70000 }', 'discover.kubernetes.port: must be'],
])('%s is refused', (source, problem) => {
  expect(problemsOf(`discover: { ${source} }`)[0]).toContain(problem);
});

test('a token of Consul is shown to nobody', () => {
  const loaded = loadText('discover: { consul: { service: a, token: SECRETTOKEN } }');
  if (!loaded.ok) throw new Error('not read');
  expect(JSON.stringify(effectiveConfig(loaded).config)).not.toContain('SECRETTOKEN');
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
  // Of a service, its own: what DNS says of its targets is no proof.
  expect(nameOf('discover: { srv: "https://_https._tcp.app.test." }')).toBe('app.test');
  expect(problemsOf(`${found}\nbackends: ["https://a.test"]`)).toEqual([
    'c.yaml:1:13: backend_tls.server_name: is missing: what discover finds is asked for one name, and each of backends for another',
  ]);
});
