/** `GET /` for a browser: the dashboard. It holds no secret, so it needs no token: its calls do. */
import type { IncomingHttpHeaders } from 'node:http';
import type { DashboardPage } from '../dashboard-page.ts';
import type { AdminAnswer } from './router.ts';

export const PAGE_TYPE = 'text/html; charset=utf-8';

// Browsers name text/html; programs say that they take anything, or nothing.
export function wantsPage({ accept = '' }: IncomingHttpHeaders): boolean {
  const quality = qualities(accept);
  const html = quality.get('text/html') ?? 0;
  return html > 0 && html >= (quality.get('application/json') ?? 0);
}

export function pageAnswer(
  { html, gzipped, etag, policy }: DashboardPage,
  headers: IncomingHttpHeaders,
): AdminAnswer {
  const always = {
    ETag: etag,
    // Asked for again each time, which costs next to nothing: a new version of Fairlead has a new page.
    'Cache-Control': 'no-cache',
    Vary: 'Accept, Accept-Encoding',
  };
  const known = (headers['if-none-match'] ?? '').split(',').map((tag) => tag.trim());
  if (known.some((tag) => tag.replace(/^W\//, '') === etag))
    return { status: 304, headers: always };
  const isGzip = (qualities(String(headers['accept-encoding'] ?? '')).get('gzip') ?? 0) > 0;
  return {
    status: 200,
    body: isGzip ? gzipped : html,
    contentType: PAGE_TYPE,
    headers: {
      ...always,
      ...(isGzip && { 'Content-Encoding': 'gzip' }),
      'Content-Security-Policy': policy,
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Referrer-Policy': 'no-referrer',
      'X-Frame-Options': 'DENY',
    },
  };
}

/** RFC 9110 §12.4.2 */
function qualities(field: string): Map<string, number> {
  const entries = field.split(',').map((part): [string, number] => {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase());
    const q = parameters.find((text) => text.startsWith('q='))?.slice(2);
    const value = q === undefined ? 1 : Number(q);
    return [name, Number.isNaN(value) ? 0 : value];
  });
  return new Map(entries);
}
