/** Rotation by rename and a signal: every line is in one of the files, and whole. */
import { mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { rawClient } from '../support/raw-client.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';
import { get, scriptedBackend, startProxy } from './stage.ts';

const ROTATIONS = 5;
const CLIENTS = 8;

/** Of all files, whole ones. */
async function linesIn(folder: string): Promise<string[]> {
  const files = await readdir(folder);
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')));
  return texts.flatMap((text) => text.match(/^\{.*\}\n/gm) ?? []);
}

test('SIGUSR1 opens the file anew under traffic, and loses and tears no line', async () => {
  const folder = temporaryFolder('rotation');
  const file = join(folder, 'access.log');
  const backend = await scriptedBackend();
  const fairlead = await startProxy([backend.url], { access_log: file }, { args: [] });
  const agent = new Agent({ connections: CLIENTS });
  afterTest(() => agent.close());
  const traffic = { isOver: false };
  const asked: string[] = [];
  const client = async (number: number): Promise<void> => {
    for (let count = 0; !traffic.isOver; count++) {
      const path = `/${number}/${count}`;
      const { body } = await request(`${fairlead.url}${path}`, { dispatcher: agent });
      await body.dump();
      asked.push(path);
    }
  };
  const clients = Array.from({ length: CLIENTS }, (_, number) => client(number));
  for (let rotation = 1; rotation <= ROTATIONS; rotation++) {
    const from = asked.length;
    await waitFor(() => asked.length >= from + 50, LONG_MS);
    await rename(file, `${file}.${rotation}`);
    process.kill(fairlead.pid, 'SIGUSR1');
    const isDone = () =>
      fairlead.logs().filter(({ event }) => event === 'access_log.reopened').length === rotation;
    await waitFor(isDone, LONG_MS);
  }
  traffic.isOver = true;
  await Promise.all(clients);
  // How long the end waits for a slow disk is not what this is about.
  await waitFor(async () => (await linesIn(folder)).length === asked.length, LONG_MS);
  expect(await fairlead.stop()).toBe(0);

  const files = await readdir(folder);
  expect(files).toHaveLength(ROTATIONS + 1);
  const paths = (await linesIn(folder)).map((line) => (JSON.parse(line) as { path: string }).path);
  expect(paths.toSorted()).toEqual(asked.toSorted());
});

test('a file that can not be opened anew leaves the old one in use, and the log says so', async () => {
  const folder = join(temporaryFolder('rotation'), 'logs');
  await mkdir(folder);
  const file = join(folder, 'access.log');
  const backend = await scriptedBackend();
  const fairlead = await startProxy([backend.url], { access_log: file });
  await rename(folder, `${folder}.old`);
  process.kill(fairlead.pid, 'SIGUSR1');
  const line = await fairlead.waitForLog(({ event }) => event === 'access_log.not_reopened');
  expect(line).toMatchObject({ level: 'error', file });
  expect(line.msg).toMatch(/go on into the old file: ENOENT/);
  const client = await rawClient(fairlead.port);
  await client.write(get('/goes-on'));
  await client.readResponse();
  await waitFor(async () =>
    (await readFile(join(`${folder}.old`, 'access.log'), 'utf8')).includes('/goes-on'),
  );
  // Once it can be opened, it is.
  await mkdir(folder);
  process.kill(fairlead.pid, 'SIGUSR1');
  await fairlead.waitForLog(({ event }) => event === 'access_log.reopened');
  await client.write(get('/anew'));
  await client.readResponse();
  await waitFor(async () => (await readFile(file, 'utf8')).includes('/anew'));
});
