/** Which certificate is for which name. */
import { expect, test } from 'vitest';
import type { Certificate } from '../../../src/config/certificates/certificate-facts.ts';
import { groupsOf } from '../../../src/control/certificates/tls-snapshot.ts';

const NOW_MS = Date.UTC(2026, 10, 27);

function certificate(
  fingerprint: string,
  names: readonly string[],
  keyType = 'ec',
  notAfterMs = NOW_MS + 1,
  notBeforeMs = 0,
): Certificate {
  const facts = {
    names,
    subject: '',
    issuer: '',
    serial: '',
    fingerprint,
    notBeforeMs,
    notAfterMs,
    keyType,
    mustStaple: false,
    ocspUrl: undefined,
  };
  return { cert: '', key: '', certFile: fingerprint, keyFile: fingerprint, facts };
}

/** `names: fingerprints`, one line per group. */
function groups(...certificates: readonly Certificate[]): string[] {
  return groupsOf(certificates, NOW_MS).map(
    (group) =>
      `${group.names.join(' ')}: ${group.certificates.map(({ facts }) => facts.fingerprint).join(' ')}`,
  );
}

test('names with the same certificates are a group; the default comes first', () => {
  expect(
    groups(
      certificate('a', ['a.test', 'www.a.test']),
      certificate('b', ['b.test']),
      certificate('a-rsa', ['a.test'], 'rsa'),
    ),
  ).toEqual(['a.test: a a-rsa', 'www.a.test: a', 'b.test: b']);
});

test('of two with the same type of key the first is served, unless only the second is good', () => {
  const [old, good, other] = [
    certificate('old', ['a.test'], 'ec', NOW_MS),
    certificate('good', ['a.test']),
    certificate('other', ['a.test']),
  ];
  expect(groups(good, other)).toEqual(['a.test: good']);
  expect(groups(certificate('x', []), old, good, other)).toEqual([': x', 'a.test: good']);
  expect(groups(certificate('x', []), old)).toEqual([': x', 'a.test: old']);
});

test('one that is not good yet is none, and the default is no worse than others', () => {
  const early = certificate('early', ['a.test'], 'ec', NOW_MS + 9, NOW_MS + 1);
  const [old, good] = [
    certificate('old', ['a.test'], 'ec', NOW_MS),
    certificate('good', ['a.test']),
  ];
  expect(groups(early, good)).toEqual(['a.test: good']);
  expect(groups(old, certificate('rsa', ['a.test'], 'rsa'), good)).toEqual(['a.test: good rsa']);
  expect(groups(early, old)).toEqual(['a.test: early']);
});

test('the default has the names that it is served for, and perhaps none', () => {
  expect(groups(certificate('only', []))).toEqual([': only']);
  expect(groups(certificate('rsa', [], 'rsa'), certificate('ec', ['a.test']))).toEqual([
    ': rsa',
    'a.test: ec',
  ]);
});

test('each of many certificates is looked at for its own names only', () => {
  let looks = 0;
  const all = Array.from({ length: 1_000 }, (_, index): Certificate => {
    const { facts, ...rest } = certificate(`${index}`, [`n${index}.test`]);
    return {
      ...rest,
      get facts() {
        looks++;
        return facts;
      },
    };
  });
  expect(groupsOf(all, NOW_MS)).toHaveLength(1_000);
  expect(looks).toBeLessThan(20_000);
});
