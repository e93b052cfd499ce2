import { expect, test } from 'vitest';
import { textReport } from '../../src/cli/try/try-report.ts';
import { emptyResult, type TryOptions } from '../../src/cli/try/try-run.ts';

const OPTIONS = { url: new URL('https://localhost/'), connections: 1 } as TryOptions;

test.each([
  ['DEPTH_ZERO_SELF_SIGNED_CERT', true],
  ['ERR_TLS_CERT_ALTNAME_INVALID', true],
  ['ECONNREFUSED', false],
  // The server wants a certificate of the client: -k does not help.
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', false],
])('after %s, the hint at -k: %s', (code, isThere) => {
  const result = { ...emptyResult(), failed: 1, errors: new Map([[code, 1]]) };
  expect(textReport(OPTIONS, result).includes('; -k takes any')).toBe(isThere);
});

test.each([
  ['HPE_INVALID_CONSTANT', 'http://localhost/', /What came back is no HTTP\/1\.1: is it another/],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'https://localhost/', /What came back is no TLS: is it http:/],
  // An alert, whose words say what is wrong.
  ['EPROTO', 'https://localhost/', /EPROTO +1 .*\n$/],
  ['ECONNRESET', 'http://localhost/', /closed without an answer: is it https:/],
  ['ECONNRESET', 'https://localhost/', /ECONNRESET +1 .*\n$/],
  ['ENOTFOUND', 'http://localhst/', /The name leads to no address/],
])('after %s at %s, what it means', (code, url, what) => {
  const result = { ...emptyResult(), failed: 1, errors: new Map([[code, 1]]) };
  expect(textReport({ ...OPTIONS, url: new URL(url) }, result)).toMatch(what);
});
