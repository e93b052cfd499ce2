/** What is said to help, for the failures of TLS to backends. */
import { expect, test } from 'vitest';
import type { BackendTlsSettings } from '../../src/config/settings.ts';
import { hintFor } from '../../src/control/health/health-hints.ts';
import { address } from './fixtures.ts';

const OWN: BackendTlsSettings = {
  ca: 'PEM',
  cert: '',
  key: '',
  caFile: '/etc/ca.pem',
  certFile: '',
  keyFile: '',
  facts: null,
  serverName: '',
  verifies: true,
};
const SHOWN = { ...OWN, cert: 'PEM', key: 'PEM', certFile: '/etc/own.pem' };

test.each([
  ['DEPTH_ZERO_SELF_SIGNED_CERT', null, /name the PEM file .* as ca_file in tls of the pool/],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', OWN, /not from an authority in \/etc\/ca\.pem/],
  ['ERR_TLS_CERT_ALTNAME_INVALID', OWN, /does not name app\.test: .* tls\.server_name/],
  ['ERR_TLS_CERT_ALTNAME_INVALID', { ...OWN, serverName: 'b.test' }, /does not name b\.test:/],
  ['CERT_HAS_EXPIRED', OWN, /must be renewed/],
  ['CERT_NOT_YET_VALID', OWN, /clocks/],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', null, /may ask for a certificate of ours/],
  ['ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', OWN, /may ask for a certificate of ours/],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', SHOWN, /may not accept the certificate in \/etc\/own\.pem/],
] as const)('%s, %j', (code, tls, hint) => {
  const backend = { address: address('https://app.test') };
  expect(hintFor({ status: undefined, code }, backend, { path: '/', tls })).toMatch(hint);
});
