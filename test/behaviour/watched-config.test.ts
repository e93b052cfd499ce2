/** A config file that changes is taken up without being told, in whatever way it is written. */
import {
  appendFile,
  mkdir,
  readFile,
  rename,
  rm,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type Fairlead, type FairleadOptions, startFairlead } from '../support/fairlead.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';

const text = (strategy: string) => `strategy: ${strategy}\nbackends: ["http://127.0.0.1:1"]\n`;

interface Watched {
  readonly fairlead: Fairlead;
  readonly folder: string;
  readonly file: string;
}

/** Its file says `round-robin`. */
async function watched(options: FairleadOptions = {}): Promise<Watched> {
  const folder = temporaryFolder();
  const file = join(folder, 'fairlead.yaml');
  await writeFile(file, text('round-robin'));
  const args = ['--config', file, ...(options.args ?? [])];
  const fairlead = await startFairlead({ isWatched: true, ...options, args });
  return { fairlead, folder, file };
}

async function strategyOf({ adminUrl }: Fairlead): Promise<unknown> {
  return ((await (await fetch(`${adminUrl}/status`)).json()) as { strategy: unknown }).strategy;
}

/** At once, as whoever counts refusals has to: a file that is written in place is empty first. */
async function put(file: string, content: string): Promise<void> {
  await writeFile(`${file}~`, content);
  await rename(`${file}~`, file);
}

const becomes = (fairlead: Fairlead, strategy: string) =>
  waitFor(async () => (await strategyOf(fairlead)) === strategy, undefined, strategy);

const reloadsOf = (fairlead: Fairlead) =>
  fairlead.logs().filter(({ event }) => event === 'config.reloaded');

const refusalsOf = (fairlead: Fairlead) =>
  fairlead.logs().filter(({ event }) => event === 'config.refused');

test('a file that is written in place, or replaced as editors do it, again and again', async () => {
  const { fairlead, file } = await watched();
  await writeFile(file, text('ip-hash'));
  await becomes(fairlead, 'ip-hash');
  for (const strategy of ['random-two', 'peak-ewma', 'least-connections']) {
    await put(file, text(strategy));
    await becomes(fairlead, strategy);
  }
  const line = await fairlead.waitForLog(({ event }) => event === 'config.reloaded');
  expect(line).toMatchObject({ by: 'watch', changed: ['strategy'] });
});

test('links that lead elsewhere, as Kubernetes swaps the folder of a ConfigMap', async () => {
  const folder = temporaryFolder();
  const version = async (name: string, strategy: string): Promise<void> => {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, 'fairlead.yaml'), text(strategy));
  };
  await version('..1', 'round-robin');
  await symlink('..1', join(folder, '..data'));
  await symlink('..data/fairlead.yaml', join(folder, 'fairlead.yaml'));
  const args = ['--config', join(folder, 'fairlead.yaml')];
  const fairlead = await startFairlead({ args, isWatched: true });
  for (const [index, strategy] of ['ip-hash', 'random-two', 'peak-ewma'].entries()) {
    const name = `..${index + 2}`;
    await version(name, strategy);
    await symlink(name, join(folder, '..data_tmp'));
    await rename(join(folder, '..data_tmp'), join(folder, '..data'));
    await rm(join(folder, `..${index + 1}`), { recursive: true });
    await becomes(fairlead, strategy);
  }
  expect(refusalsOf(fairlead)).toEqual([]);
});

test('a broken file is told of once, with its line, and leaves all as it was; the next good one counts', async () => {
  const { fairlead, file } = await watched();
  await put(file, 'strategy: ip-hash\nbackends: ["http://127.0.0.1:1"]\nporrt: 1\n');
  const line = await fairlead.waitForLog(({ event }) => event === 'config.refused');
  expect(line.msg).toContain(`${file}:3:1: porrt`);
  expect(line['by']).toBe('watch');
  expect(await strategyOf(fairlead)).toBe('round-robin');
  // The same text, written anew: it has been told of.
  await put(file, await readFile(file, 'utf8'));
  await put(file, text('peak-ewma'));
  await becomes(fairlead, 'peak-ewma');
  expect(refusalsOf(fairlead)).toHaveLength(1);
});

test('what needs a restart is refused, and told', async () => {
  const { fairlead, file } = await watched();
  await appendFile(file, 'threads: 7\n');
  const { msg } = await fairlead.waitForLog(({ event }) => event === 'config.refused');
  expect(msg).toContain('threads');
});

test('a file that is only touched, or that a reload has read already, is no change', async () => {
  const { fairlead, file } = await watched();
  const now = new Date();
  await utimes(file, now, now);
  await put(file, text('ip-hash'));
  expect((await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
  expect(await strategyOf(fairlead)).toBe('ip-hash');
  // Comes after whatever the watch would have made of those. It may have been quicker than the reload.
  await put(file, text('random-two'));
  await becomes(fairlead, 'random-two');
  const { generation } = (await (await fetch(`${fairlead.adminUrl}/status`)).json()) as {
    generation: number;
  };
  expect(generation).toBe(3);
  const own = () => reloadsOf(fairlead).filter(({ by }) => by === 'watch');
  await waitFor(() => own().length > 0);
  for (const { changed } of own()) expect(changed).toEqual(['strategy']);
});

test('a file that is gone is not missed at once, then told of, and taken up when it is back', async () => {
  const { fairlead, file } = await watched();
  await unlink(file);
  const { msg } = await fairlead.waitForLog(({ event }) => event === 'config.refused');
  expect(msg).toContain('no such file');
  expect(await strategyOf(fairlead)).toBe('round-robin');
  await put(file, text('ip-hash'));
  await becomes(fairlead, 'ip-hash');
  expect(refusalsOf(fairlead)).toHaveLength(1);
});

test('writes that go on for long are taken up meanwhile, and the last one in the end', async () => {
  const { fairlead, file } = await watched();
  const over = new AbortController();
  const writing = (async () => {
    for (let count = 0; !over.signal.aborted; count++) {
      await put(file, `${text('ip-hash')}# ${count}\n`);
      await sleep(20);
    }
  })();
  await becomes(fairlead, 'ip-hash').finally(() => over.abort());
  await writing;
  await put(file, text('random-two'));
  await becomes(fairlead, 'random-two');
  expect(refusalsOf(fairlead)).toEqual([]);
});

test('`watch: false` in the file ends it, a reload with `watch: true` begins it again', async () => {
  const { fairlead, file } = await watched();
  await put(file, `${text('ip-hash')}watch: false\n`);
  await becomes(fairlead, 'ip-hash');
  await put(file, text('random-two'));
  expect((await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
  await waitFor(() => reloadsOf(fairlead).length === 2);
  expect(reloadsOf(fairlead).map((line) => line['by'])).toEqual(['watch', undefined]);
  await put(file, text('peak-ewma'));
  await becomes(fairlead, 'peak-ewma');
});

test('`--no-watch`: a changed file waits for a reload', async () => {
  const { fairlead, file } = await watched({ args: ['--no-watch'] });
  await put(file, text('ip-hash'));
  // As long as a watch takes in the other tests, and a half: should it be too short once, nothing is found wrong that is right.
  await sleep(1_000);
  expect(await strategyOf(fairlead)).toBe('round-robin');
  const { config } = (await (await fetch(`${fairlead.adminUrl}/config`)).json()) as {
    config: { watch: unknown };
  };
  expect(config.watch).toBe(false);
});
