/**
 * A state file was edited by hand, with a slip in one entry. All of it was set aside, and a backend that an operator had
 * disabled got requests again.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { changesOf } from '../../src/control/state/operator-state.ts';
import { decodeState } from '../../src/control/state/state-format.ts';
import { backend } from '../control/fixtures.ts';
import { running } from '../control/running.ts';
import { runFairlead } from '../support/fairlead.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';

const ONE = 'http://127.0.0.1:1';
const TWO = 'http://127.0.0.1:2';
const THREE = 'http://127.0.0.1:3';

const good = {
  version: 1,
  next_id: 4,
  strategy: 'least-connections',
  session_secret: 'a'.repeat(16),
  added: [{ url: THREE, id: 2, weight: 4, state: 'draining' }],
  configured: [
    { url: ONE, id: 0, state: 'disabled' },
    { url: TWO, id: 1, weight: 5 },
  ],
};

/** What is read of it: of each URL its state and weight, and what was left out. */
function read(content: unknown): object {
  const result = decodeState(JSON.stringify(content));
  if (result.kind !== 'read') throw new Error(result.reason);
  const { state, faults } = result;
  const changes = changesOf(state, 'default');
  const entries = [...changes.entries.values()].map(({ url, id, weight, state: wanted }) =>
    [url, id, weight, wanted].join(' '),
  );
  return { entries: entries.toSorted(), strategy: changes.strategy, next: state.nextId, faults };
}

const whole = {
  entries: [`${ONE} 0  disabled`, `${TWO} 1 5 `, `${THREE} 2 4 draining`],
  strategy: 'least-connections',
  next: 4,
  faults: [],
};
const [one, two] = good.configured;
const [three] = good.added;
const fault = (start: string): unknown[] => [expect.stringContaining(start)];

test.each([
  ['nothing wrong', good, whole],
  ['a key that nobody knows', { ...good, more: 1 }, { ...whole, faults: fault('"more"') }],
  [
    'a strategy that nobody knows',
    { ...good, strategy: 'best' },
    { ...whole, strategy: undefined, faults: fault('strategy: ') },
  ],
  [
    'no list of added backends',
    { ...good, added: 'none' },
    { ...whole, entries: whole.entries.slice(0, 2), faults: fault('added: ') },
  ],
  ['no next id', { ...good, next_id: undefined }, { ...whole, next: 3 }],
  [
    'a next id that is none',
    { ...good, next_id: 'x' },
    { ...whole, next: 3, faults: fault('next_id: ') },
  ],
  [
    'an added backend with an impossible weight',
    { ...good, added: [{ ...three, weight: 1001 }] },
    { ...whole, entries: whole.entries.slice(0, 2), faults: fault('added.0.weight: ') },
  ],
  [
    'a backend of the config with an impossible weight: what else was changed about it is kept',
    { ...good, configured: [{ ...one, weight: -1 }, two] },
    { ...whole, faults: fault('configured.0.weight: ') },
  ],
  [
    'an entry that is no object',
    { ...good, configured: [one, 7, two] },
    { ...whole, faults: fault('configured.1: ') },
  ],
  [
    'an entry without a URL',
    { ...good, configured: [one, two, { state: 'disabled' }] },
    { ...whole, faults: fault('configured.2.url: ') },
  ],
  [
    'a URL that is not normalised',
    { ...good, configured: [one, two, { url: 'HTTP://x/' }] },
    { ...whole, faults: fault('"HTTP://x/" is not a normalised URL') },
  ],
  [
    'a URL that is there twice: the first counts',
    { ...good, configured: [one, two, { url: ONE, id: 3 }] },
    { ...whole, faults: fault(`${ONE} stands there twice`) },
  ],
  [
    'an id of another: it gets one of its own',
    { ...good, added: [{ ...three, id: 9 }] },
    {
      ...whole,
      entries: [...whole.entries.slice(0, 2), `${THREE} 4 4 draining`],
      next: 5,
      faults: fault(`the id 9 of ${THREE} is not its own`),
    },
  ],
])('%s', (_, content, expected) => {
  expect(read(content)).toEqual(expected);
});

test('a bad entry is set aside and said, and a disabled backend stays disabled', async () => {
  const folder = temporaryFolder();
  const stateFile = join(folder, 'state.json');
  const text = JSON.stringify({ ...good, configured: [one, { ...two, weight: 'five' }] });
  await writeFile(stateFile, text, { mode: 0o600 });
  const changes = { stateFile, backends: [backend(ONE), backend(TWO)] };
  const { call, log, fairlead } = await running(changes);
  expect((await call('GET', '/status')).json).toMatchObject({
    strategy: 'least-connections',
    backends: [
      { url: ONE, state: 'disabled' },
      { url: TWO, weight: 1 },
      { url: THREE, state: 'draining' },
    ],
  });
  const line = await waitFor(async () =>
    (await log()).split('\n').find((entry) => entry.includes('state_file.damaged')),
  );
  expect(JSON.parse(line)).toMatchObject({
    level: 'error',
    left_out: fault('configured.1.weight: '),
    kept_as: expect.stringContaining(`${stateFile}.damaged-`),
  });
  const { kept_as: copy } = JSON.parse(line) as { kept_as: string };
  expect(await readFile(copy, 'utf8')).toBe(text);

  // It is said once: the next start finds a good file, and no second copy is made.
  fairlead.kill();
  await fairlead.exited;
  const second = await running(changes);
  expect((await second.call('GET', '/backends/0')).json).toMatchObject({ state: 'disabled' });
  expect((await readdir(folder)).filter((name) => name.includes('damaged'))).toHaveLength(1);
});

test('fairlead state show says what it left out, and shows the rest', async () => {
  const cwd = temporaryFolder();
  await writeFile(join(cwd, 'config.json'), JSON.stringify({ backends: [ONE, TWO] }));
  const content = { version: 1, next_id: 2, added: [7], configured: [one] };
  await writeFile(join(cwd, 'fairlead.state.json'), JSON.stringify(content));
  const { code, stdout, stderr } = await runFairlead(['state', 'show'], { cwd });
  expect(stdout).toContain(`${ONE} disabled`);
  expect(stderr).toContain('left out: added.0: ');
  expect(code).toBe(1);
});
