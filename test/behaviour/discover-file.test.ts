/** A pool whose backends stand in a file that is written by somebody else. */
import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startFairlead } from '../support/fairlead.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';
import {
  configOf,
  listen,
  searchOf,
  untilFailing,
  untilThere,
  viewsOf,
} from './discovery-stage.ts';
import { upgrade } from './upgrade-stage.ts';

test('it is followed through renames, links and faults, and the last good one holds', async () => {
  const port = await listen('127.0.0.2', 0);
  await listen('127.0.0.3', port);
  const folder = temporaryFolder('found');
  const file = join(folder, 'app.txt');
  const replace = (text: string): void => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  const fairlead = await startFairlead({ config: configOf({ file }) });
  // It is not there yet.
  await untilFailing(fairlead, `cannot read ${file}`);
  expect((await fetch(fairlead.url)).status).toBe(503);

  replace(`http://127.0.0.2:${port}\n`);
  const [first] = await untilThere(fairlead, '2');
  expect(first).toMatchObject({ source: 'discovery', found_by: 'file', weight: 1 });
  await fairlead.waitForLog(({ event }) => event === 'discovery.recovered');

  replace(`http://127.0.0.3:${port} weight=5\nhttp://127.0.0.2:${port} backup\n`);
  await untilThere(fairlead, '2', '3');
  expect(await viewsOf(fairlead)).toMatchObject([{ id: 0, backup: true }, { weight: 5 }]);

  replace(`http://127.0.0.3:${port}\n127.0.0.2\n`);
  await untilFailing(fairlead, `${file}:2:1: backends.1: "127.0.0.2" has no scheme`);
  replace('# nobody\n');
  await untilFailing(fairlead, 'it has no backend');
  await untilThere(fairlead, '2', '3');

  // A link in its place, as a volume of Kubernetes has it.
  const other = join(folder, 'other');
  writeFileSync(other, `http://127.0.0.3:${port}\n`);
  rmSync(file);
  symlinkSync(other, file);
  await untilThere(fairlead, '3');
  expect(await searchOf(fairlead)).toMatchObject({ failing: false, found: 1, source: 'file' });
  expect((await fetch(fairlead.url)).status).toBe(200);
});

test('a reload that names another file keeps those that stand in both', async () => {
  const port = await listen('127.0.0.2', 0);
  await listen('127.0.0.3', port);
  const folder = temporaryFolder('found');
  writeFileSync(join(folder, 'a.json'), JSON.stringify([`http://127.0.0.2:${port}`]));
  const both = { backends: [`http://127.0.0.3:${port}`, `http://127.0.0.2:${port}`] };
  writeFileSync(join(folder, 'b.json'), JSON.stringify(both));
  const config = (name: string) => configOf({ file: join(folder, name) });
  const fairlead = await startFairlead({ config: config('a.json') });
  await untilThere(fairlead, '2');
  await fetch(fairlead.url);
  const reload = async (name: string): Promise<void> => {
    writeFileSync(join(fairlead.cwd, 'fairlead.config.json'), JSON.stringify(config(name)));
    expect((await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
  };
  await reload('b.json');
  expect(await untilThere(fairlead, '2', '3')).toMatchObject([{ id: 0, requests: 1 }, { id: 1 }]);
  // One that can't be read takes nobody away.
  await reload('c.json');
  await untilFailing(fairlead, 'c.json');
  await untilThere(fairlead, '2', '3');
  await reload('a.json');
  await waitFor(async () => (await viewsOf(fairlead)).length === 1);
});

test('with the source away, a start and an upgrade have what was found last, and say so', async () => {
  const port = await listen('127.0.0.2', 0);
  await listen('127.0.0.3', port);
  const folder = temporaryFolder('found');
  const file = join(folder, 'app.txt');
  writeFileSync(file, `http://127.0.0.2:${port} weight=3\n`);
  const options = { cwd: folder, config: configOf({ file }) };
  const first = await startFairlead(options);
  expect(await untilThere(first, '2')).toMatchObject([{ weight: 3 }]);
  expect(await searchOf(first)).toMatchObject({ failing: false, kept_from: null });
  await first.stop();
  rmSync(file);

  const second = await startFairlead(options);
  expect((await fetch(second.url)).status).toBe(200);
  expect(await untilThere(second, '2')).toMatchObject([{ weight: 3, source: 'discovery' }]);
  expect(await searchOf(second)).toMatchObject({
    failing: true,
    found: 1,
    kept_from: expect.stringMatching(/Z$/),
    last_success: null,
  });
  await second.waitForLog(({ event }) => event === 'discovery.kept_used');
  const metrics = await (await fetch(`${second.adminUrl}/metrics`)).text();
  expect(metrics).toContain('fairlead_discovery_kept{pool="app",source="file"} 1');

  // Only the old process knows.
  rmSync(join(folder, 'fairlead.state.found.json'));
  await upgrade(second);
  await second.waitForLog(({ event }) => event === 'stopped');
  expect((await fetch(second.url)).status).toBe(200);
  expect(await untilThere(second, '2')).toMatchObject([{ weight: 3 }]);
  writeFileSync(file, `http://127.0.0.3:${port}\n`);
  await untilThere(second, '3');
  expect(await searchOf(second)).toMatchObject({ failing: false, kept_from: null });
});
