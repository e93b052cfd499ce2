/** When authorities are asked for times of renewal. */
import { expect, test } from 'vitest';
import type { Certificate } from '../../../src/config/certificates/certificate-facts.ts';
import { validationCertificate } from '../../../src/control/acme/certificate-request.ts';
import { RenewalPlans } from '../../../src/control/acme/renewal-plans.ts';
import type { Wanted } from '../../../src/control/acme/wanted.ts';

/** Appendix A of RFC 9773: ARI has a name for it. */
const NAMED = `-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
`;
const AGAIN_MS = 60_000;

function entry(index: number, cert: string): [Wanted, Certificate] {
  const [name, id] = [`n${index}.test`, `${index}`];
  const settings = { directoryUrl: 'https://ca.test/dir', caFile: '' } as Wanted['settings'];
  const facts = { fingerprint: id, notBeforeMs: 0, notAfterMs: 1e12 } as Certificate['facts'];
  return [
    { name, id, key: id, settings },
    { cert, key: '', certFile: '', keyFile: '', facts },
  ];
}

function fail(): never {
  throw new Error('nothing is told');
}

test('questions about renewals do not keep orders waiting: eight in a row, the others right after', async () => {
  const nowMs = 1e9;
  let asked = 0;
  const plans = new RenewalPlans({
    log: { debug: fail, info: fail, warn: fail, error: fail, fatal: fail },
    signal: new AbortController().signal,
    nowMs: () => nowMs,
    random: () => 0,
    read: async () => {
      asked++;
      return { window: undefined, explanation: '', againMs: AGAIN_MS };
    },
  });
  // Those that no authority can be asked about do not count.
  const nameless = validationCertificate('a.test', 'x', 0).cert;
  const served = Array.from({ length: 40 }, (_, index) =>
    entry(index, index < 20 ? nameless : NAMED),
  );
  const wanted = served.map(([one]) => one);
  plans.sync(new Map(served));
  for (const all of [8, 16]) {
    expect(await plans.ask(wanted)).toBe(true);
    expect(asked).toBe(all);
    expect(plans.nextMs()).toBe(nowMs);
  }
  await plans.ask(wanted);
  expect(asked).toBe(20);
  expect(plans.nextMs()).toBe(nowMs + AGAIN_MS);
  expect(await plans.ask(wanted)).toBe(false);
});
