/** From what the system says of a failed connect to the error that Fairlead answers and logs. */
import type { ErrorCode } from '../../errors.ts';

const CODES: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: 'ERR_BACKEND_REFUSED',
  ENOTFOUND: 'ERR_BACKEND_DNS',
  EAI_AGAIN: 'ERR_BACKEND_DNS',
  EAI_FAIL: 'ERR_BACKEND_DNS',
  EAI_NONAME: 'ERR_BACKEND_DNS',
  EAI_NODATA: 'ERR_BACKEND_DNS',
  ETIMEDOUT: 'ERR_BACKEND_CONNECT_TIMEOUT',
  // Ours, not the backend's: it must not be marked down for it.
  EMFILE: 'ERR_OUT_OF_SOCKETS',
  ENFILE: 'ERR_OUT_OF_SOCKETS',
  ENOBUFS: 'ERR_OUT_OF_SOCKETS',
  ENOMEM: 'ERR_OUT_OF_SOCKETS',
  EADDRNOTAVAIL: 'ERR_OUT_OF_SOCKETS',
  ECONNRESET: 'ERR_BACKEND_UNREACHABLE',
  EPIPE: 'ERR_BACKEND_UNREACHABLE',
};

/** What an address of a family says that this machine does not have. */
const NO_ROUTE: ReadonlySet<string> = new Set([
  'EADDRNOTAVAIL',
  'EAFNOSUPPORT',
  'ENETUNREACH',
  'EHOSTUNREACH',
]);

/** The detail names every address that was tried (happy eyeballs reports one error for each). */
export function describeConnectError(error: Error): {
  readonly code: ErrorCode;
  readonly detail: string;
} {
  const tried = error instanceof AggregateError ? (error.errors as Error[]) : [error];
  const codes = tried.map((one) => (one as NodeJS.ErrnoException).code ?? '');
  const detail = tried.map((one) => one.message).join('; ');
  // On a machine without IPv6 the ::1 of localhost fails with what else means that we are out of ports: what the other
  // addresses say is the better answer.
  const systemCode =
    codes.find((code) => code !== '' && !NO_ROUTE.has(code)) ??
    codes.find((code) => code !== '') ??
    (error as NodeJS.ErrnoException).code ??
    '';
  const known = CODES[systemCode];
  if (known !== undefined) return { code: known, detail };
  const isTls =
    systemCode.startsWith('ERR_TLS') ||
    systemCode.startsWith('ERR_SSL') ||
    systemCode.includes('CERT') ||
    systemCode.includes('SIGNATURE') ||
    systemCode.includes('ISSUER');
  return { code: isTls ? 'ERR_BACKEND_TLS' : 'ERR_BACKEND_UNREACHABLE', detail };
}
