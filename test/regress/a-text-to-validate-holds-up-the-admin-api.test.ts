/**
 * `POST /config:validate` with some texts of 1 MiB kept the control plane busy for seconds, and with 600 KB of aliases for ten
 * minutes: nobody got an answer from the admin API meanwhile, and SIGTERM was not heeded. Through real calls here; what
 * each text costs is held in a-config-of-one-mebibyte-stops-the-control-plane.test.ts.
 */
import { beforeAll, expect, test } from 'vitest';
import { startProxy } from '../behaviour/stage.ts';
import { fill, fillJson, JSON_SHAPES, YAML_SHAPES } from '../config/costly-texts.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { slowness } from '../support/machine-speed.ts';

/** As on a machine that is quick and idle; the bug cost five seconds and more. */
const LIVEZ_MS = 1_000;
/** With others behind it: who comes during one text may be heard only after several. */
const SEVERAL_TEXTS_MS = 6 * LIVEZ_MS;
const LONG_MS = 60_000;

let fairlead: Fairlead;
beforeAll(async () => {
  const backend = await httpBackend();
  fairlead = await startProxy([backend.url], {}, { args: [] });
});

function validate(text: string, type: 'json' | 'yaml'): Promise<Response> {
  return fetch(`${fairlead.adminUrl}/config:validate`, {
    method: 'POST',
    headers: { 'content-type': `application/${type}` },
    body: text,
    signal: AbortSignal.timeout(LONG_MS),
  });
}

/** The longest wait for /livez while `call` is under way, as on such a machine. */
async function longestWait(call: Promise<unknown>): Promise<number> {
  const over = new AbortController();
  const done = call.finally(() => over.abort());
  let longest = 0;
  do {
    const before = slowness();
    const startedAt = performance.now();
    const { status } = await fetch(`${fairlead.adminUrl}/livez`);
    expect(status).toBe(200);
    const ms = performance.now() - startedAt;
    longest = Math.max(longest, ms / Math.max(before, slowness()));
  } while (!over.signal.aborted);
  await done;
  return longest;
}

const TEXTS: (readonly [what: string, type: 'json' | 'yaml', text: string])[] = [
  ['600 KB of aliases', 'yaml', fill('- &a x\n', '- *a\n', 600 * 1024)],
  ['12 KB of aliases', 'yaml', fill('- &a x\n', '- *a\n', 12 * 1024)],
  ...YAML_SHAPES.map(([what, prefix, part]) => [what, 'yaml', fill(prefix, part)] as const),
  ...JSON_SHAPES.map(
    ([what, prefix, part, end]) => [`JSON, ${what}`, 'json', fillJson(prefix, part, end)] as const,
  ),
];

test.each(TEXTS)('%s', async (_what, type, text) => {
  const answered = validate(text, type).then(({ status }) => status);
  expect(await longestWait(answered)).toBeLessThan(LIVEZ_MS);
  expect(await answered).toBe(422);
});

/** A little under the bound of what is parsed. */
const DEAREST = YAML_SHAPES.map(([, prefix, part, marks]) =>
  fill(prefix, part, prefix.length + part.length * (Math.floor(19_900 / marks) - 10)),
);

test('as many as are parsed, all at once', async () => {
  const calls = DEAREST.map((text) => validate(text, 'yaml').then(({ status }) => status));
  expect(await longestWait(Promise.all(calls))).toBeLessThan(SEVERAL_TEXTS_MS);
  expect(new Set(await Promise.all(calls))).toEqual(new Set([422]));
});

test('SIGTERM is heeded while texts are validated', async () => {
  const calls = DEAREST.map((text) => validate(text, 'yaml').catch(() => null));
  await Promise.race(calls);
  const stopping = fairlead.waitForLog(({ event }) => event === 'stopping', LONG_MS);
  const before = slowness();
  const startedAt = performance.now();
  const end = fairlead.stop('SIGTERM', LONG_MS);
  await stopping;
  const ms = performance.now() - startedAt;
  expect(ms / Math.max(before, slowness())).toBeLessThan(SEVERAL_TEXTS_MS);
  expect(await end).toBe(0);
  await Promise.all(calls);
});
