/** In words for the log: what a backend did that was to speak HTTP/2, and what would help. */

const REMEDY =
  'with protocol: http1 its pool speaks HTTP/1.1 to it, and with auto what it chooses over TLS';

/** @param chosen by ALPN; empty: nothing. */
export function notHttp2OverTls(chosen: string): string {
  const what = chosen === '' ? 'has not chosen h2' : `has chosen ${chosen}`;
  return `offered h2 (ALPN), the backend ${what}: ${REMEDY}`;
}

/** @param firstBytes that it has sent in place of its SETTINGS. */
export function notHttp2(firstBytes: string): string {
  if (firstBytes === '') return `before a byte of HTTP/2 came: ${REMEDY}`;
  if (firstBytes.startsWith('HTTP/1.')) return `it answers in HTTP/1.1: ${REMEDY}`;
  return `it does not begin as HTTP/2 does: ${REMEDY}`;
}

export function silentPing(pingMs: number): string {
  return `no byte came for twice ${pingMs} ms, and no answer to a PING (timeouts.backend_ping)`;
}
