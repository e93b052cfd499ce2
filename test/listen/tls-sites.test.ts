/** Which site a host leads to, where names may get certificates on demand. */
import { expect, test } from 'vitest';
import { TlsSites } from '../../src/data/listen/tls-sites.ts';
import type { TlsSnapshot } from '../../src/snapshot/tls.ts';

function group(name: string) {
  return { names: [name], pairs: [], staple: null };
}

function sitesWith(more: Partial<TlsSnapshot>): TlsSites {
  const settings: TlsSnapshot = {
    groups: [group('own.test'), group('b.test')],
    refusesUnknownNames: false,
    awaitedNames: [],
    onDemand: 'https://ca.test/dir http://ask.test/',
    challenges: [],
    clientCertificates: null,
    minVersion: '1.2',
    http2: true,
    ...more,
  };
  return new TlsSites(settings, Buffer.alloc(48));
}

test('who sends no name is served for the address that it connects to, with names on demand as well', () => {
  const sites = sitesWith({});
  const [own, other] = [sites.of(''), sites.of('b.test')];
  if (own === null || other === null) throw new Error('no site');
  for (const host of ['127.0.0.1', '127.0.0.1:8443', '[::1]', '[::1]:8443', 'own.test:8443']) {
    expect([host, sites.serves(own, host), sites.serves(other, host)]).toEqual([host, true, false]);
  }
  for (const host of ['new.test', '127.0.0.1.test', 'b.test']) {
    expect([host, sites.serves(own, host)]).toEqual([host, false]);
  }
  const refusing = sitesWith({ refusesUnknownNames: true });
  expect(refusing.serves(refusing.default ?? own, '127.0.0.1')).toBe(false);
});
