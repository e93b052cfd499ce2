/** `fairlead disable 0` on a full disk said "with ?persist=false": who types commands makes no calls. */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AdminClient } from '../../src/cli/admin/admin-client.ts';
import { backend } from '../control/fixtures.ts';
import { running } from '../control/running.ts';
import { afterTest } from '../support/after-test.ts';
import { runHere } from '../support/command-here.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const ADMIN = new URL('../../src/control/admin/', import.meta.url);

/** A method and its path, a parameter, a field, a template: what only means something to who makes calls. */
const CALL =
  /\b(GET|HEAD|POST|PUT|PATCH|DELETE)\b|\?\w+=|Authorization|Bearer|ETag|If-Match|\{\w+\}/;

/** Each hint of the admin API, with the code that it goes with. */
function hintsOfTheApi(): [code: string, hint: string][] {
  return readdirSync(ADMIN)
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => {
      const text = readFileSync(new URL(name, ADMIN), 'utf8');
      return Array.from(
        text.matchAll(/'(ERR_\w+)'(?:(?!'ERR_|new ProblemError)[\s\S])*?hint: ['`]([^'`]+)['`]/g),
        ([, code = '', hint = '']): [string, string] => [code, hint],
      );
    });
}

/** What a command shows of a refusal. */
async function shown(status: number, problem: object): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(status, { 'Content-Type': 'application/problem+json' });
    response.end(JSON.stringify(problem));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  afterTest(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const client = new AdminClient({ url: `http://127.0.0.1:${port}`, token: undefined });
  return client.call('GET', '/').then(
    () => 'nothing',
    (error: Error) => error.message,
  );
}

test('the hints of the API are all found', () => {
  const codes = hintsOfTheApi().map(([code]) => code);
  expect(codes).toEqual(
    expect.arrayContaining([
      'ERR_DUPLICATE_BACKEND',
      'ERR_UNKNOWN_BACKEND',
      'ERR_STATE_NOT_SAVED',
      'ERR_UNKNOWN_PATH',
      'ERR_UNAUTHORIZED',
      'ERR_FOREIGN_HOST',
      'ERR_GENERATION_CHANGED',
      'ERR_UNKNOWN_KEY',
      'ERR_UNKNOWN_PARAMETER',
      'ERR_INVALID_URL',
    ]),
  );
  // They do speak of calls: who makes some wants to hear of them.
  expect(hintsOfTheApi().filter(([, hint]) => CALL.test(hint)).length).toBeGreaterThan(4);
});

test.each(hintsOfTheApi())('%s ("%s") becomes a hint for a command', async (code, hint) => {
  const text = await shown(409, { code, detail: 'It was refused.', hint });
  expect(text).toMatch(/^It was refused\. \(.+\)$/);
  expect(text).not.toMatch(CALL);
});

test.each([
  ['ERR_STATE_NOT_SAVED', /--not-kept/],
  ['ERR_UNKNOWN_BACKEND', /fairlead status/],
  ['ERR_DUPLICATE_BACKEND', /fairlead weight/],
  ['ERR_UNAUTHORIZED', /--token/],
  ['ERR_FOREIGN_HOST', /--admin/],
  ['ERR_UNKNOWN_PATH', /--admin/],
  ['ERR_INVALID_URL', /fairlead add/],
  ['ERR_UNKNOWN_PARAMETER', /another version/],
  ['ERR_METHOD_NOT_ALLOWED', /another version/],
  ['ERR_UNKNOWN_POOL', /fairlead status/],
])('%s names the command or flag', async (code, named) => {
  expect(await shown(409, { code, detail: 'It was refused.' })).toMatch(named);
});

test('on a full disk, each command that changes something takes the flag that its hint names', async () => {
  const folder = join(temporaryFolder(), 'folder');
  await mkdir(folder);
  const stateFile = join(folder, 'state.json');
  const the = await running({ stateFile, backends: [backend('http://127.0.0.1:1')] });
  await the.call('PATCH', '/backends/0', { weight: 7 });
  await rm(folder, { recursive: true });
  const admin = ['--admin', `http://127.0.0.1:${the.fairlead.adminPort}`];
  for (const change of [
    ['disable', '0'],
    ['weight', '0', '3'],
    ['reset', 'weight'],
    ['strategy', 'random-two'],
    ['drain', '0'],
    ['add', 'http://127.0.0.1:2'],
    ['remove', '0'],
  ]) {
    const refused = await runHere([...change, ...admin]);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/\(with --not-kept the change is made, and not kept\)\n$/);
    const made = await runHere([...change, '--not-kept', ...admin]);
    expect(made).toMatchObject({ code: 0, stderr: '' });
  }
}, 120_000);

test('reset says what it can reset', async () => {
  expect(await runHere(['reset', 'weigth', '--admin', 'http://127.0.0.1:1'])).toMatchObject({
    code: 2,
    stderr:
      'fairlead reset: "weigth" is no value that can be reset: strategy, weight, backup, or the id or URL of a backend\n',
  });
});
