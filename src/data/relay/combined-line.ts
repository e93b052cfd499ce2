/** A line of the access log in Apache's "combined" format. */
import type { AccessLogEntry } from './access-log-entry.ts';
import type { LineWriter } from './line-writer.ts';

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * @param path without its secrets
 * @param referer likewise
 */
export function writeCombined(
  line: LineWriter,
  entry: AccessLogEntry,
  path: string | null,
  referer: string | null,
): void {
  const request = entry.method === null ? '-' : `${entry.method} ${path ?? '-'} ${entry.protocol}`;
  line.plain(`${entry.clientAddress} - - [${apacheTime(new Date())}] `);
  line.quoted(request);
  line.plain(` ${entry.status} ${entry.bytesOut} `);
  line.quoted(referer ?? '-');
  line.plain(' ');
  line.quoted(entry.userAgent ?? '-');
  line.plain('\n');
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

function apacheTime(date: Date): string {
  return `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}:${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`;
}
