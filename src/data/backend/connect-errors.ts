/** From what the system says of a failed connect to the error that Fairlead answers and logs. */
import type { ErrorCode } from '../../errors.ts';
import {
  codeOf,
  errorsIn,
  messageOf,
  type Shortage,
  shortageOf,
  tellingCode,
} from '../../snapshot/own-shortage.ts';

const CODES: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: 'ERR_BACKEND_REFUSED',
  // There is no such Unix socket.
  ENOENT: 'ERR_BACKEND_REFUSED',
  ENOTFOUND: 'ERR_BACKEND_DNS',
  EAI_FAIL: 'ERR_BACKEND_DNS',
  EAI_NONAME: 'ERR_BACKEND_DNS',
  EAI_NODATA: 'ERR_BACKEND_DNS',
  ETIMEDOUT: 'ERR_BACKEND_CONNECT_TIMEOUT',
  ECONNRESET: 'ERR_BACKEND_UNREACHABLE',
  EPIPE: 'ERR_BACKEND_UNREACHABLE',
};

/** Ours, not the backend's: it must not be marked down for it. */
const SHORTAGES: Readonly<Record<Shortage, ErrorCode>> = {
  sockets: 'ERR_OUT_OF_SOCKETS',
  resolver: 'ERR_RESOLVER',
};

/** What could be mended by giving one back. */
export function isOutOfDescriptors(error: Error): boolean {
  return errorsIn(error).some((one) => ['EMFILE', 'ENFILE'].includes(codeOf(one)));
}

/** The detail names every address that was tried (happy eyeballs reports one error for each). */
export function describeConnectError(error: Error): {
  readonly code: ErrorCode;
  readonly detail: string;
} {
  const tried = errorsIn(error);
  const detail = tried.map(messageOf).join('; ');
  const systemCode = tellingCode(tried.map(codeOf)) || codeOf(error);
  const shortage = shortageOf(systemCode);
  if (shortage !== undefined) return { code: SHORTAGES[shortage], detail };
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
