/**
 * The dashboard: one HTML file with its style and its script inside, made by scripts/build.mjs from src/dashboard/. It is read,
 * hashed and compressed when the first browser asks for it, and not before.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

export interface DashboardPage {
  readonly html: Buffer;
  readonly gzipped: Buffer;
  readonly etag: string;
  /** Of `Content-Security-Policy`: what stands in the file, and nothing else. */
  readonly policy: string;
}

export type ReadDashboard = () => Promise<DashboardPage | undefined>;

/** Undefined where the file is not there: the program was bundled into another one, or the modules run as they are. */
export function dashboardPage(
  file = new URL('../dashboard/index.html', import.meta.url),
): ReadDashboard {
  let reading: Promise<DashboardPage | undefined> | undefined;
  return () => {
    reading ??= readFile(file).then(pageOf, () => undefined);
    return reading;
  };
}

async function pageOf(html: Buffer): Promise<DashboardPage> {
  const text = html.toString();
  const sources = (tag: string): string => {
    const inside = text.matchAll(new RegExp(`<${tag}(?: type="module")?>([^]*?)</${tag}>`, 'g'));
    const hashes = Array.from(inside, ([, code = '']) => `'sha256-${hashOf(code)}'`);
    return hashes.length === 0 ? "'none'" : hashes.join(' ');
  };
  return {
    html,
    gzipped: await promisify(gzip)(html, { level: 9 }),
    etag: `"${hashOf(html).slice(0, 22)}"`,
    policy: [
      "default-src 'none'",
      `script-src ${sources('script')}`,
      `style-src ${sources('style')}`,
      "connect-src 'self'",
      'img-src data:',
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      "require-trusted-types-for 'script'",
    ].join('; '),
  };
}

function hashOf(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('base64');
}
