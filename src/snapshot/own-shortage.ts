/**
 * What the system says when a connection fails for want of something on our side: it says nothing about the backend, so
 * neither requests nor health checks may hold it against one.
 */

/** Descriptors and memory. */
const SHORT_OF: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']);

/** The resolver can't ask, or was not answered. That a name does not exist is another matter (ENOTFOUND). */
const RESOLVER: ReadonlySet<string> = new Set(['EAI_AGAIN', 'EAI_MEMORY', 'EBUSY']);

/** What an address of a family says that this machine does not have; the first one also means that ports are used up. */
const NO_ROUTE: ReadonlySet<string> = new Set([
  'EADDRNOTAVAIL',
  'EAFNOSUPPORT',
  'ENETUNREACH',
  'EHOSTUNREACH',
]);

/** `resolver`: who knows the address could not be asked. `sockets`: everything else. */
export type Shortage = 'sockets' | 'resolver';

export function shortageOf(code: string): Shortage | undefined {
  if (RESOLVER.has(code)) return 'resolver';
  return SHORT_OF.has(code) || code === 'EADDRNOTAVAIL' ? 'sockets' : undefined;
}

/**
 * The one code that says most, of those of all addresses that were tried. One address that we had no descriptor for may have
 * been the good one. But on a machine without IPv6 the ::1 of localhost fails with what else means that we are out of ports:
 * then what the other addresses say is the better answer.
 */
export function tellingCode(codes: readonly string[]): string {
  return (
    codes.find((code) => SHORT_OF.has(code)) ??
    codes.find((code) => code !== '' && !NO_ROUTE.has(code)) ??
    codes.find((code) => code !== '') ??
    ''
  );
}

/** Happy eyeballs report an error for each address; one of its own kind stands around them. */
export function errorsIn(error: Error): readonly Error[] {
  if (!(error instanceof AggregateError) || error.errors.length === 0) return [error];
  return error.errors as readonly Error[];
}

/** Of the system, of TLS or of Node; empty when there is none. */
export function codeOf(error: Error): string {
  const code: unknown = 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : '';
}

/** OpenSSL's own text names a place in its sources; what it means stands in its middle. */
export function messageOf(error: Error): string {
  const reason: unknown = 'reason' in error ? error.reason : undefined;
  if ('library' in error && typeof reason === 'string') return `TLS: ${reason}`;
  return error.message === '' ? codeOf(error) || error.name : error.message;
}
