/** What would help, for the failures of health checks that people meet in their first hour: the flag, key or variable. */
import type { HealthCheckSettings } from '../../config/settings.ts';
import type { Backend } from '../backend.ts';
import type { ProbeResult } from './probe.ts';

const OTHER_PAGE =
  'health_check_path (--health-check-path, HEALTH_CHECK_PATH; of another pool than default: health_check.path) names a page that answers 2xx';
const BY_TCP =
  'health_check_method: tcp (--health-check-method tcp, FAIRLEAD_HEALTH_CHECK_METHOD=tcp; of another pool than default: health_check.method) is content with a connection';

const OTHER_PORT =
  'health_check_method: grpc asks a server of gRPC: health_check_port (of another pool than default: health_check.port) says where it is, if not on this port';

const OWN_AUTHORITY =
  'name the PEM file of the authority (of a self-signed certificate: itself) as ca_file in tls of the pool (at the top level: backend_tls), or start Fairlead with NODE_EXTRA_CA_CERTS=FILE';

const UNKNOWN_AUTHORITY: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** What a backend answers who wants a certificate of ours, or another one. */
const REFUSES_CLIENT: ReadonlySet<string> = new Set([
  'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
  'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
  'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE',
  'ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE',
  'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE',
  'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
  'ERR_SSL_TLSV1_ALERT_ACCESS_DENIED',
]);

/** Empty where there is nothing to say that the reason does not say. */
export function hintFor(
  { status, code = '' }: Pick<ProbeResult, 'status' | 'code'>,
  { address }: Pick<Backend, 'address'>,
  { path, tls }: Pick<HealthCheckSettings, 'path' | 'tls'>,
): string {
  if (code === 'OTHER_BODY' || code === 'NOT_SERVING') return '';
  if (code === 'NOT_GRPC') return OTHER_PORT;
  if (code === 'NOT_HTTP2' || code === 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL') {
    return 'protocol of its pool is h2: http1 is for servers of HTTP/1.1, and auto, over TLS, for what they choose';
  }
  if (status !== undefined) return hintForStatus(status, path, address);
  if (address.socketPath !== '') return hintForSocket(code, address.socketPath);
  if (UNKNOWN_AUTHORITY.has(code)) {
    return tls === null || tls.ca === ''
      ? `its certificate is not from an authority that is known here: ${OWN_AUTHORITY}`
      : `its certificate is not from an authority in ${tls.caFile} (tls.ca_file)`;
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const name = tls === null || tls.serverName === '' ? address.host : tls.serverName;
    return `its certificate does not name ${name}: write a name of the certificate into the URL (backends, TARGET_BACKEND_URLS), or as tls.server_name of its pool (at the top level: backend_tls.server_name)`;
  }
  if (code === 'CERT_HAS_EXPIRED')
    return 'its certificate, or one that it rests on, must be renewed';
  if (code === 'CERT_NOT_YET_VALID') {
    return 'its certificate is good from a later time on: do the clocks of both machines agree?';
  }
  if (REFUSES_CLIENT.has(code)) {
    return tls === null || tls.cert === ''
      ? `it may ask for a certificate of ours: cert_file and key_file in tls of the pool (at the top level: backend_tls)`
      : `it may not accept the certificate in ${tls.certFile} (tls.cert_file)`;
  }
  if (address.tls && (code === 'EPROTO' || code.startsWith('ERR_SSL_'))) {
    return 'does it speak TLS on this port? If not, write http:// into the URL (backends, TARGET_BACKEND_URLS)';
  }
  // A server for TLS that gets plain HTTP answers with an alert, or closes.
  if ((code === 'NOT_HTTP' || code === 'CLOSED') && !address.tls) {
    return 'does it speak HTTP on this port? With TLS, write https:// into the URL (backends, TARGET_BACKEND_URLS)';
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return `${address.host} must be a name that this machine (or container) resolves: change the URL (backends, TARGET_BACKEND_URLS), or put both into one network`;
  }
  if (code === 'TIMEOUT') {
    return 'health_check_timeout (FAIRLEAD_HEALTH_CHECK_TIMEOUT; of another pool than default: health_check.timeout) is how long a check may take';
  }
  return '';
}

function hintForSocket(code: string, path: string): string {
  switch (code) {
    case 'ENOENT':
      return `there is no ${path}: does its server run, and has it its socket there (in a container: is the folder mounted)?`;
    case 'EACCES': {
      const user = process.getuid?.();
      const who = user === undefined ? 'this user' : `the user ${user}`;
      return `${who} must be allowed to write to ${path}, and to enter the folders that it is in`;
    }
    case 'ECONNREFUSED':
      return `nobody listens at ${path} any more: its server has left the file behind, or it is no socket`;
    case 'EAGAIN':
      return 'more connections wait for its server than may (its backlog)';
    default:
      return '';
  }
}

function hintForStatus(
  status: number,
  path: string,
  { tls, socketPath }: Backend['address'],
): string {
  if (status >= 200 && status < 300) {
    return 'health_check_expect_status (in a pool: health_check.expect_status) says which statuses are healthy';
  }
  if (status >= 300 && status < 400) {
    return `a check follows no redirects: ${OTHER_PAGE} instead of ${path}, ${BY_TCP}`;
  }
  if (status === 400 && !tls && socketPath === '') {
    return 'if it speaks TLS on this port, write https:// into the URL (backends, TARGET_BACKEND_URLS)';
  }
  if (status < 400 || status >= 500) return '';
  return `${path} is not for checks: ${OTHER_PAGE}, ${BY_TCP}`;
}
