/**
 * A config file was written in place, slowly, and read when half of it was there: a sound config, without the `deny` at its end. Everybody
 * got in until the rest came.
 */
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { metrics, QUIET_HEALTH } from '../behaviour/stage.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';

const DENY = '    deny: ["127.0.0.1"]\n';

async function started() {
  const { url } = await httpBackend();
  const quiet = Object.entries(QUIET_HEALTH).map(([key, value]) => `${key}: ${value}\n`);
  const open = `${quiet.join('')}backends: ["${url}"]\nroutes:\n  - pool: default\n`;
  const file = join(temporaryFolder(), 'fairlead.yaml');
  await writeFile(file, open + DENY);
  const fairlead = await startFairlead({ isWatched: true, args: ['--config', file] });
  return { fairlead, file, open };
}

const statusOf = async ({ url }: Fairlead): Promise<number> => (await fetch(url)).status;

test('the watch waits for the rest, and says so once', async () => {
  const { fairlead, file, open } = await started();
  expect(await statusOf(fairlead)).toBe(403);
  await writeFile(file, open);
  const line = await fairlead.waitForLog(({ event }) => event === 'config.refused');
  expect(line).toMatchObject({ by: 'watch', level: 'error' });
  expect(line.msg).toContain('looks cut off');
  expect(await statusOf(fairlead)).toBe(403);
  // More, but not all of it: long enough to be looked at. Should it be too short once, nothing is found wrong that is right.
  await appendFile(file, DENY.slice(0, -5));
  await sleep(1_000);
  await appendFile(file, `${DENY.slice(-5)}strategy: ip-hash\n`);
  const { changed } = await fairlead.waitForLog(({ event }) => event === 'config.reloaded');
  expect(changed).toEqual(['strategy']);
  expect(await statusOf(fairlead)).toBe(403);
  expect(fairlead.logs().filter(({ event }) => event === 'config.refused')).toHaveLength(1);
});

test('who asks for a reload has meant it', async () => {
  const { fairlead, file, open } = await started();
  await writeFile(file, open);
  await fairlead.waitForLog(({ event }) => event === 'config.refused');
  const isGood = async () =>
    (await metrics(fairlead)).get('fairlead_config_last_reload_successful');
  expect(await isGood()).toBe(0);
  // Back to what is in force, which nobody has to read anew.
  await writeFile(file, open + DENY);
  await waitFor(async () => (await isGood()) === 1);
  await writeFile(file, open);
  expect((await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
  expect(await statusOf(fairlead)).toBe(200);
});
