/** `listeners[].tls.acme`: what it means, what can't work, and what `fairlead check` says of what may not. */
import { expect, test } from 'vitest';
import { effectiveConfig } from '../../src/config/effective/effective.ts';
import { validateConfigText } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';

const NAMES = { names: ['Shop.Example.com'] };

function load(listeners: readonly object[], more: object = {}, configFile = '/conf/c.json') {
  const input = { flags: { values: [] }, env: {}, cwd: '/nowhere', configFile };
  const config = { backends: [':1'], listeners, ...more };
  return validateConfigText(JSON.stringify(config), 'c.json', input);
}

function acmeAt(port: number, acme: object): object {
  return { port, tls: { acme } };
}

/** Of the settings that are good; their notes. */
function loaded(listeners: readonly object[], more?: object) {
  const result = load(listeners, more);
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'));
  return result;
}

test('names are enough where a listener is at port 80', () => {
  const { settings, notes } = loaded([{ port: 80 }, acmeAt(443, NAMES)]);
  expect(settings.listeners[1]?.tls).toMatchObject({ sources: [], certificates: [] });
  expect(settings.listeners[1]?.tls?.acme).toEqual({
    names: ['shop.example.com'],
    email: '',
    directoryUrl: 'https://acme-v02.api.letsencrypt.org/directory',
    caFile: '',
    challenge: 'http-01',
    dnsHook: null,
    externalAccount: null,
    onDemand: null,
    store: { file: '/conf/fairlead.acme.json', keyFile: '', key: '' },
  });
  expect(notes).toEqual([]);
});

test('what is in force, read back, means the same, without its secrets', () => {
  const acme = {
    email: 'ops@example.com',
    names: ['*.example.com'],
    ca: 'https://ca.test/dir',
    challenge: 'dns-01',
    dns_hook: { command: ['/bin/dns', '-v'], timeout: '1m', wait: '5s' },
    store_file: '/var/acme.json',
  };
  const result = loaded([acmeAt(443, acme)]);
  const { config } = effectiveConfig(result);
  const [shown] = config['listeners'] as { tls: object }[];
  expect(shown?.tls).toMatchObject({ acme });
  const again = loaded([{ port: 443, tls: shown?.tls }]);
  expect(again.settings.listeners).toEqual(result.settings.listeners);
  const secrets = { external_account: { key_id: 'me', key: 'c2VjcmV0' }, store_key: 'hush-hush' };
  const hidden = loaded([acmeAt(443, { ...NAMES, ...secrets })]);
  expect(JSON.stringify(effectiveConfig(hidden).config)).not.toMatch(/c2VjcmV0|hush/);
});

test.each([
  [acmeAt(443, { names: ['*.example.com'] }), /names\.0: \*\.example\.com needs dns-01/],
  [acmeAt(443, { names: ['10.0.0.1'] }), /must be a host name, and 10\.0\.0\.1 is an address/],
  [acmeAt(443, { names: ['bücher.example'] }), /must be in ASCII.*write xn--bcher-kva\.example/s],
  [acmeAt(443, { names: ['localhost'] }), /must be a host name with a dot/],
  [acmeAt(443, { names: ['a.test', 'A.test'] }), /names\.1: a\.test is there twice/],
  [acmeAt(443, { ...NAMES, ca: 'http://ca.test/dir' }), /ca: must be the URL of a directory/],
  [acmeAt(443, { ...NAMES, ca_file: 'none.pem' }), /ca_file: cannot read \/conf\/none\.pem/],
  [acmeAt(443, { ...NAMES, challenge: 'dns-01' }), /challenge: needs dns_hook/],
  [acmeAt(443, { ...NAMES, challenge: 'http-01' }), /http-01 needs a listener without tls/],
  [
    acmeAt(443, { ...NAMES, challenge: 'tls-alpn-01', dns_hook: { command: ['x'] } }),
    /dns_hook: is of dns-01, and challenge is tls-alpn-01/,
  ],
  [
    acmeAt(443, { ...NAMES, store_key: 'x', store_key_file: 'y' }),
    /store_key: must not stand beside store_key_file/,
  ],
])('refused: %j', (listener, message) => {
  const result = load([listener]);
  expect(result.ok ? 'ok' : result.problems.map(formatProblem).join('\n')).toMatch(message);
});

test('two listeners have one store', () => {
  const result = load([acmeAt(443, NAMES), acmeAt(8443, { ...NAMES, store_file: 'other.json' })]);
  expect(result.ok ? '' : result.problems.map(formatProblem).join('\n')).toMatch(
    /listeners\.1\.tls\.acme\.store_file: and its key must be the same as in listeners\.0/,
  );
});

test('ports that authorities do not ask at, and names that no route is for, are worth a note', () => {
  const routes = [{ host: ['www.example.com', '*.api.example.com'], pool: 'web' }];
  const pools = { web: { backends: [':1'] } };
  const names = ['www.example.com', 'v1.api.example.com', 'old.example.com'];
  const { notes } = loaded([{ port: 8080 }, acmeAt(443, { names })], {
    routes,
    pools,
    backends: undefined,
  });
  expect(notes).toEqual([
    expect.stringMatching(/port 80 \(http-01\)/),
    'acme: there is a certificate for old.example.com, and no route: its requests get 404',
  ]);
  expect(loaded([acmeAt(8443, NAMES)]).notes).toEqual([
    expect.stringMatching(/port 443 \(tls-alpn-01\)/),
  ]);
});

test('in a cluster the store is etcd, sealed under the key of the cluster', () => {
  const etcd = { endpoints: ['http://127.0.0.1:2379'] };
  const cluster = { instance: 'one', etcd, key: 'ab'.repeat(32) };
  const { settings } = loaded([{ port: 80 }, acmeAt(443, NAMES)], { cluster });
  expect(settings.listeners[1]?.tls?.acme?.store).toBeNull();
  const said = (acme: object, more: object): string => {
    const result = load([{ port: 80 }, acmeAt(443, acme)], more);
    return result.ok ? 'ok' : result.problems.map(formatProblem).join('\n');
  };
  expect(said(NAMES, { cluster: { ...cluster, key: undefined } })).toMatch(
    /listeners\.1\.tls\.acme: needs cluster\.key_file: private keys lie in etcd sealed/,
  );
  expect(said({ ...NAMES, store_file: 'a.json' }, { cluster })).toMatch(
    /store_file: is for an instance that is alone.*take it out; cluster\.key_file is the key/s,
  );
});

test('on demand needs somebody who decides, and no names', () => {
  const acme = { on_demand: { ask: 'http://127.0.0.1:8080/allowed?of=1' } };
  const result = loaded([acmeAt(443, acme)]);
  const { settings } = result;
  const issuing = settings.listeners[0].tls?.acme;
  expect(issuing?.names).toEqual([]);
  expect(issuing?.onDemand).toEqual({
    askUrl: 'http://127.0.0.1:8080/allowed?of=1',
    timeoutMs: 5_000,
    mostNames: 1_000,
    mostOrdersPerHour: 60,
  });
  const { config } = effectiveConfig(result);
  const [shown] = config['listeners'] as { tls: object }[];
  expect(loaded([{ port: 443, tls: shown?.tls }]).settings.listeners).toEqual(settings.listeners);
  const said = (one: object): string => {
    const refused = load([acmeAt(443, one)]);
    return refused.ok ? 'ok' : refused.problems.map(formatProblem).join('\n');
  };
  expect(said({})).toMatch(/acme: needs names, or on_demand with the URL of who decides \(ask\)/);
  expect(said({ on_demand: {} })).toMatch(
    /acme\.on_demand: needs ask: whoever connects could.*set ask to the URL of who decides/s,
  );
  expect(said({ on_demand: { ask: 'yes' } })).toMatch(
    /ask: must be an http:\/\/ or https:\/\/ URL/,
  );
});

test('who decides is shown without what is secret of its URL, and is called by no name and password', () => {
  const ask = 'http://ask.test/a?of=a%20b&key=geheim';
  const { config } = effectiveConfig(loaded([acmeAt(443, { on_demand: { ask } })]));
  const text = JSON.stringify(config);
  expect(text).toContain('http://ask.test/a?of=a');
  expect(text).not.toContain('geheim');
  const refused = load([acmeAt(443, { on_demand: { ask: 'http://me:geheim@ask.test/' } })]);
  const said = refused.ok ? 'ok' : refused.problems.map(formatProblem).join('\n');
  expect(said).toMatch(/on_demand\.ask: must not hold a name or a password \(put a secret into/);
  expect(said).not.toContain('geheim');
});

test('for names on demand of one authority, one decides', () => {
  const asking = (port: number, ask: string, more: object = {}): object =>
    acmeAt(port, { on_demand: { ask }, ...more });
  const [one, other] = ['http://one.test/?key=a', 'http://other.test/?key=b'];
  const result = load([asking(443, one), acmeAt(444, NAMES), asking(8443, other)]);
  const problems = result.ok ? [] : result.problems;
  expect(problems.map(formatProblem)).toEqual([
    'c.json:1:' +
      `${JSON.stringify({ backends: [':1'], listeners: [asking(443, one), acmeAt(444, NAMES), asking(8443, other)] }).indexOf(JSON.stringify(other)) + 1}: ` +
      'listeners.2.tls.acme.on_demand.ask: must be the same as in listeners.0: listeners with the same ca share the certificates that are ' +
      'fetched on demand (write the same URL, or give one of them another ca)',
  ]);
  loaded([asking(443, one), asking(8443, one), asking(9443, other, { ca: 'https://ca.test/d' })]);
});
