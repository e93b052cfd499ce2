/** What has no effect in a config was told at the start only: after a reload nobody heard of it, nor did who checked a text. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runFairlead, startFairlead } from '../support/fairlead.ts';

const NAME = 'fairlead.config.json';
const UNUSED = expect.stringMatching(/^pools\.web \(.*\) is used by no route$/) as string;
const RESPONSE = 'timeouts.response has no effect beside timeouts.total, which is no longer';

test('what a reload finds worth knowing is logged once, and stands in its answer', async () => {
  const web = { backends: [':2'] };
  const first = { backends: [':1'], pools: { web } };
  const fairlead = await startFairlead({ config: first });
  const told = () =>
    fairlead
      .logs()
      .filter(({ event }) => event === 'config.note' || event === 'config.reloaded')
      .map(({ event, msg }) => (event === 'config.note' ? msg : event));
  const reload = async (config: object): Promise<unknown> => {
    const reloads = told().length;
    await writeFile(join(fairlead.cwd, NAME), JSON.stringify(config, null, 2));
    const answer = await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' });
    await fairlead.waitForLog(() => told().length > reloads);
    return ((await answer.json()) as { notes: unknown }).notes;
  };
  expect(told()).toEqual([UNUSED]);
  expect(await reload(first)).toEqual([UNUSED]);
  const timeouts = { response: '5s', total: '2s' };
  expect(await reload({ ...first, timeouts })).toEqual([RESPONSE, UNUSED]);
  expect(await reload({ backends: [':1'] })).toEqual([]);
  expect(await reload(first)).toEqual([UNUSED]);
  // The last line comes after the answer.
  await fairlead.waitForLog(() => told().length === 7);
  expect(told()).toEqual([
    UNUSED,
    'config.reloaded',
    'config.reloaded',
    RESPONSE,
    'config.reloaded',
    'config.reloaded',
    UNUSED,
  ]);
  expect(await runFairlead(['reload', '--admin', fairlead.adminUrl])).toEqual({
    code: 0,
    stdout: 'reloaded: no change\n',
    stderr: expect.stringMatching(/^note: pools\.web \(.*\) is used by no route\n$/) as string,
  });
});

test('who checks a text hears of the same', async () => {
  const { adminUrl } = await startFairlead();
  const validate = async (body: string): Promise<unknown> =>
    (await fetch(`${adminUrl}/config:validate`, { method: 'POST', body })).json();
  expect(await validate('backends: [":1"]')).toMatchObject({ valid: true, notes: [] });
  expect(await validate('backends: [":1"]\npools: { web: { backends: [":2"] } }')).toMatchObject({
    valid: true,
    notes: [UNUSED],
  });
});
