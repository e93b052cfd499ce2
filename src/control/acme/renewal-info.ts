/** What an authority says of when a certificate should be renewed: ARI, RFC 9773. */
import { z } from 'zod';
import { ask, retryAfterMs } from './acme-request.ts';
import { type AuthorityOptions, parsed, readDirectory, refusalOf } from './authority.ts';
import { type RenewalWindow, windowIn } from './renewal-time.ts';

/** RFC 9773 §4.3.2: between a minute and a day, and six hours where nothing is said. */
const SHORTEST_MS = 60_000;
const LONGEST_MS = 24 * 3_600_000;
const USUAL_MS = 6 * 3_600_000;

const INFO = z.object({
  suggestedWindow: z.object({ start: z.string(), end: z.string() }),
  explanationURL: z.string().optional(),
});

export interface RenewalInfo {
  /** Undefined: the authority says nothing of it. */
  readonly window: RenewalWindow | undefined;
  /** A page that says why; empty: none. */
  readonly explanation: string;
  /** When to ask again. */
  readonly againMs: number;
}

/** @param id see `renewalIdOf`. @throws Error, AcmeProblem */
export async function readRenewalInfo(id: string, options: AuthorityOptions): Promise<RenewalInfo> {
  const { renewalInfo } = await readDirectory(options);
  if (renewalInfo === undefined) return { window: undefined, explanation: '', againMs: LONGEST_MS };
  const { caFile, signal, nowMs } = options;
  const url = `${renewalInfo.replace(/\/$/, '')}/${id}`;
  const answer = await ask({ method: 'GET', url, caFile, signal });
  if (answer.status !== 200) throw refusalOf(url, answer, nowMs());
  const read = INFO.safeParse(parsed(answer.text));
  if (!read.success) throw new Error(`GET ${url}: that is no renewal information`);
  const { suggestedWindow: window, explanationURL = '' } = read.data;
  const wantedMs = retryAfterMs(answer.headers, nowMs()) ?? USUAL_MS;
  return {
    window: windowIn(window.start, window.end),
    explanation: /^https:\/\/[!-~]{1,300}$/.test(explanationURL) ? explanationURL : '',
    againMs: Math.min(LONGEST_MS, Math.max(SHORTEST_MS, wantedMs)),
  };
}
