/** An OCSP answer is stapled until it ends, and no longer: by a clock of our own. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Certificate } from '../../../src/config/certificates/certificate-facts.ts';
import { issuedIn, ocspRequest, readOcspAnswer } from '../../../src/control/certificates/ocsp.ts';
import { type Fetch, Stapler } from '../../../src/control/certificates/stapler.ts';
import type { Logger } from '../../../src/observe/logger.ts';
import { afterTest } from '../../support/after-test.ts';
import { Authority } from '../../support/authority.ts';
import { hasTool } from '../../support/tools.ts';

const SECOND_MS = 1_000;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

interface Stapling {
  /** When it was asked for. */
  readonly asked: number[];
  /** Whether one is stapled, each time that there was anything new. */
  readonly published: boolean[];
  readonly endsMs: number;
}

/** The responder answers once, for a day, and is gone then. */
async function begin(): Promise<Stapling> {
  const authority = new Authority();
  const cert = authority.sign('one.test').cert + readFileSync(authority.file, 'utf8');
  const issued = issuedIn(cert);
  if (issued === undefined) throw new Error('no issuer');
  const answer = authority.answer(ocspRequest(issued));
  const asked: number[] = [];
  const published: boolean[] = [];
  const fetch: Fetch = () => {
    asked.push(Date.now());
    return asked.length === 1 ? Promise.resolve(answer) : Promise.reject(new Error('gone'));
  };
  const log = { warn() {} } as unknown as Logger;
  const stapler = new Stapler({
    log,
    fetch,
    publish: (staples) => published.push(staples.has('one')),
  });
  afterTest(() => stapler.stop());
  const facts = { mustStaple: true, fingerprint: 'one', ocspUrl: 'http://gone.test/' };
  stapler.sync([{ cert, certFile: 'a.crt', facts } as unknown as Certificate]);
  await vi.advanceTimersByTimeAsync(0);
  expect(published).toEqual([true]);
  const { nextUpdateMs: endsMs } = readOcspAnswer(answer, issued, Date.now());
  return { asked, published, endsMs };
}

test.runIf(hasTool('openssl'))('no longer than until it ends, if none comes after it', async () => {
  const { asked, published, endsMs } = await begin();
  await vi.advanceTimersByTimeAsync(endsMs - Date.now() - SECOND_MS);
  expect(published).toEqual([true]);
  // Asked for again from half its time on.
  expect(asked.length).toBeGreaterThan(5);
  await vi.advanceTimersByTimeAsync(SECOND_MS);
  expect(published).toEqual([true, false]);
});

test.runIf(hasTool('openssl'))(
  'nor where the clock has leapt beyond that: then another is asked for at once',
  async () => {
    const { asked, published, endsMs } = await begin();
    vi.setSystemTime(endsMs + SECOND_MS);
    await vi.advanceTimersByTimeAsync(60 * SECOND_MS);
    expect(published).toEqual([true, false]);
    expect(asked).toHaveLength(2);
  },
);
