/**
 * `fairlead cluster status` ended with 0 while etcd was away, and its help says 1: who asks by exit code took that for a cluster that is well.
 * The config beside it is broken, which does not matter: the address is given.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { runHere } from '../support/command-here.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

// What the command loads, before the time of a test runs.
beforeAll(() => import('../../src/cli/cluster.ts'));

const FOLLOWED = {
  name: 'edge',
  instance: 'a',
  state: 'current',
  reason: null,
  revision: 7,
  config_age_seconds: 0,
  refused: [],
  members: [{ instance: 'a', address: null, version: '1.0.0', applied: 7, refused: [] }],
  members_are_known: true,
  health: { disagreements: [], silent: [] },
};

test('the exit code says whether the store is followed, and the table is there', async () => {
  let answer: object = FOLLOWED;
  const { url } = await httpBackend((_request, response) => response.end(JSON.stringify(answer)));
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, 'f.yaml'), 'bakends: []\n');
  const status = (...more: string[]) =>
    runHere(['cluster', 'status', '--config', 'f.yaml', '--admin', url, ...more], { cwd });
  expect(await status()).toMatchObject({ code: 0, stderr: '' });
  for (const trouble of [
    { state: 'stale', reason: 'no answer', config_age_seconds: 60 },
    { state: 'held', reason: 'another epoch' },
    { members_are_known: false },
  ]) {
    answer = { ...FOLLOWED, ...trouble };
    const { code, stdout } = await status();
    expect([trouble, code]).toEqual([trouble, 1]);
    expect(stdout).toMatch(/^INSTANCE .*\na /m);
  }
  const { code, stdout } = await status('--json');
  expect([code, JSON.parse(stdout)]).toEqual([1, answer]);
});
