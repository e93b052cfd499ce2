/** What of ACME is a function: DER, signatures, times, and what an authority says. */
import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AccountKey } from '../../../src/control/acme/account-key.ts';
import { problemOf } from '../../../src/control/acme/acme-problem.ts';
import { retryAfterMs } from '../../../src/control/acme/acme-request.ts';
import {
  certificateRequest,
  makeKey,
  validationCertificate,
} from '../../../src/control/acme/certificate-request.ts';
import { recordNameOf, recordTextOf, runHook } from '../../../src/control/acme/dns-hook.ts';
import {
  renewalIdOf,
  renewalTime,
  retryMs,
  windowIn,
} from '../../../src/control/acme/renewal-time.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const DAY_MS = 86_400_000;

function hook(code: string, timeoutMs = 20_000) {
  return { command: [process.execPath, '-e', code, '--'], timeoutMs, waitMs: 0 };
}

function opensslSays(args: readonly string[]): string {
  return execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

test('what is signed is what openssl and RFC 7638 make of it', () => {
  const pem = AccountKey.generate();
  const key = new AccountKey(pem);
  const jws = JSON.parse(key.signed('https://ca.test/x', 'nonce', { a: 1 }, undefined)) as {
    protected: string;
    payload: string;
    signature: string;
  };
  const head = JSON.parse(Buffer.from(jws.protected, 'base64url').toString()) as {
    jwk: Record<string, string>;
  };
  expect(head).toMatchObject({ alg: 'ES256', nonce: 'nonce', url: 'https://ca.test/x' });
  const { crv, kty, x, y } = head.jwk;
  const text = `{"crv":"${crv}","kty":"${kty}","x":"${x}","y":"${y}"}`;
  expect(key.thumbprint).toBe(createHash('sha256').update(text).digest('base64url'));
  expect(key.authorizationOf('token')).toBe(`token.${key.thumbprint}`);
  expect(Buffer.from(jws.signature, 'base64url')).toHaveLength(64);
  const again = JSON.parse(key.signed('u', 'n', null, 'https://ca.test/acct/1')) as typeof jws;
  expect(again.payload).toBe('');
  expect(Buffer.from(again.protected, 'base64url').toString()).toBe(
    '{"alg":"ES256","kid":"https://ca.test/acct/1","nonce":"n","url":"u"}',
  );
});

test('the request for a certificate has the name, and is signed with its key', () => {
  const folder = temporaryFolder('csr');
  const file = join(folder, 'request.der');
  writeFileSync(file, Buffer.from(certificateRequest('*.example.test', makeKey()), 'base64url'));
  const args = ['req', '-inform', 'DER', '-in', file, '-noout', '-text', '-verify'];
  const said = opensslSays(args);
  expect(said).toContain('DNS:*.example.test');
  expect(said).toMatch(/Subject: *\n/);
});

test('the certificate of TLS-ALPN-01 is as RFC 8737 has it', () => {
  const authorization = 'token.thumbprint';
  const { cert } = validationCertificate('shop.test', authorization, Date.now());
  const leaf = new X509Certificate(cert);
  expect(leaf.subjectAltName).toBe('DNS:shop.test');
  expect(leaf.verify(leaf.publicKey)).toBe(true);
  const file = join(temporaryFolder('alpn'), 'a.crt');
  writeFileSync(file, cert);
  const said = opensslSays(['x509', '-in', file, '-noout', '-text']);
  expect(said).toMatch(/1\.3\.6\.1\.5\.5\.7\.1\.31: critical/);
  // The extension is an OCTET STRING in an OCTET STRING.
  const digest = createHash('sha256').update(authorization).digest();
  const value = Buffer.concat([Buffer.from('04220420', 'hex'), digest]);
  expect(leaf.raw.includes(value)).toBe(true);
});

test('DNS-01: the record of a wildcard is that of the name behind it', () => {
  expect(recordNameOf('*.example.test')).toBe('_acme-challenge.example.test');
  expect(recordTextOf('a.b')).toBe(createHash('sha256').update('a.b').digest('base64url'));
});

test('a hook that fails says so, and one that takes too long is ended with what it began', async () => {
  const record = { name: '_acme-challenge.a.test', text: 'x' };
  await runHook(hook('process.exit(process.argv[1] === "present" ? 0 : 1)'), 'present', record);
  const failing = hook('console.error("no\\nzone"); process.exitCode = 3');
  await expect(runHook(failing, 'cleanup', record)).rejects.toThrow(
    'cleanup: it ended with 3: no zone',
  );
  const slow = hook('setInterval(() => {}, 1e6)', 300);
  await expect(runHook(slow, 'present', record)).rejects.toThrow('it has not ended within 0.3 s');
  const missing = { command: ['/nowhere/hook'], timeoutMs: 1000, waitMs: 0 };
  await expect(runHook(missing, 'present', record)).rejects.toThrow('ENOENT');
});

test('a certificate is renewed in the window of its authority, or behind two thirds of its life', () => {
  const of = (fingerprint: string) => ({ notBeforeMs: 0, notAfterMs: 90 * DAY_MS, fingerprint });
  const times = Array.from({ length: 200 }, (_, index) =>
    renewalTime(of(String(index)), undefined),
  );
  expect(Math.min(...times)).toBeGreaterThanOrEqual(60 * DAY_MS);
  expect(Math.max(...times)).toBeLessThan(64.6 * DAY_MS);
  expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(3 * DAY_MS);
  expect(renewalTime(of('1'), undefined)).toBe(renewalTime(of('1'), undefined));
  const window = { startMs: 10 * DAY_MS, endMs: 12 * DAY_MS };
  const chosen = renewalTime(of('1'), window);
  expect(chosen).toBeGreaterThanOrEqual(window.startMs);
  expect(chosen).toBeLessThan(window.endMs);
  // Whatever the authority says, it is renewed while it is good.
  const late = { startMs: 100 * DAY_MS, endMs: 101 * DAY_MS };
  expect(renewalTime(of('1'), late)).toBe(90 * DAY_MS);
  expect(windowIn('2026-01-02T00:00:00Z', '2026-01-01T00:00:00Z')).toBeUndefined();
  expect(windowIn('soon', 'later')).toBeUndefined();
});

test('a failure is tried again later each time, and never before the authority wants it', () => {
  const failure = {
    failures: 1,
    isUnreachable: false,
    isRateLimited: false,
    retryAfterMs: undefined,
  };
  const minutes = (more: object, random = 0): number =>
    retryMs({ ...failure, ...more }, random) / 60_000;
  expect([1, 2, 3, 4].map((failures) => minutes({ failures }))).toEqual([1, 2, 4, 8]);
  expect(minutes({ failures: 500 })).toBe(360);
  expect(minutes({ failures: 500, isUnreachable: true })).toBe(10);
  expect(minutes({ isRateLimited: true })).toBe(60);
  expect(minutes({ isRateLimited: true, retryAfterMs: 7_200_000 })).toBe(120);
  expect(minutes({ retryAfterMs: 600_000 }, 0.999)).toBeGreaterThan(10);
  // A clock that is wrong somewhere does not stop renewals for ever.
  expect(minutes({ retryAfterMs: 1e12 })).toBe(7 * 24 * 60);
  expect(retryAfterMs({ 'retry-after': '120' }, 0)).toBe(120_000);
  expect(retryAfterMs({ 'retry-after': 'Thu, 01 Jan 1970 00:01:00 GMT' }, 0)).toBe(60_000);
  expect(retryAfterMs({ 'retry-after': 'tomorrow' }, 0)).toBeUndefined();
});

test('what ARI calls a certificate: the example of RFC 9773', () => {
  // Appendix A of RFC 9773.
  const cert = `-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
`;
  expect(renewalIdOf(cert)).toBe('aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE');
  expect(renewalIdOf(validationCertificate('a.test', 'x', 0).cert)).toBeUndefined();
});

test('what an authority says is one line, with what to change', () => {
  const type = 'urn:ietf:params:acme:error:';
  const problem = problemOf(
    {
      type: `${type}compound`,
      detail: 'two\nlines',
      subproblems: [
        { type: `${type}caa`, detail: 'CAA forbids it', identifier: { value: 'a.test' } },
      ],
    },
    'otherwise',
  );
  expect(problem).toMatchObject({ kind: 'caa', message: 'two lines; a.test: CAA forbids it' });
  expect(problem.hint).toContain('CAA record');
  expect(problemOf('<html>', 'GET x answers 502')).toMatchObject({
    kind: '',
    message: 'GET x answers 502',
    hint: '',
  });
  expect(problemOf({ detail: 'a'.repeat(10_000) }, '').message).toHaveLength(500);
});
