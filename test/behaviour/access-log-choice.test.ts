/** Which requests have a line, and what of them stands in it. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { answer, get, type Stage, scriptedBackend, startProxy, startStage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage();
});

/** Reloads with these keys beside those that are there. */
async function reloadWith({ fairlead }: Stage, keys: Readonly<Record<string, unknown>>) {
  const file = join(fairlead.cwd, 'fairlead.config.json');
  const config = JSON.parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, JSON.stringify({ ...config, ...keys }));
  const { status } = await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' });
  expect(status).toBe(200);
}

async function ask(target: string, fields: readonly string[] = []): Promise<void> {
  const client = await stage.client();
  await client.write(get(target, fields));
  await client.readResponse();
  client.end();
}

test('a line of a small GET has 290 bytes at most, and no field that says nothing', async () => {
  await ask('/small');
  await stage.logged('/small');
  const line = stage.fairlead
    .output()
    .split('\n')
    .find((text) => text.includes('"/small"'));
  expect(line?.length).toBeLessThan(290);
  expect(line).not.toMatch(/:(null|""|\[\]|\{\})/);
});

test('the value of a parameter with the name of a secret is not logged, and goes on all the same', async () => {
  await ask('/login?user=me&password=hunter2&x=1');
  await stage.logged('/login?user=me&password=REDACTED&x=1');
  await stage.backend.request('/login?user=me&password=hunter2&x=1');
  expect(stage.fairlead.output()).not.toContain('hunter2');
});

describe('after a reload', () => {
  test('lines have the fields that were chosen, in the order of the table, and those of the request', async () => {
    await reloadWith(stage, {
      access_log_fields: ['status', 'path', 'header.X-Tenant', 'header.cookie', 'header.referer'],
    });
    await ask('/chosen', [
      'X-Tenant: "a"',
      'x-tenant: \xe9',
      'Cookie: sid=hunter3',
      'Referer: http://a/?token=hunter4',
    ]);
    const line = await stage.logged('/chosen');
    expect(line).toEqual({
      path: '/chosen',
      status: 200,
      'header.x-tenant': '"a", \xe9',
      'header.cookie': 'REDACTED',
      'header.referer': 'http://a/?token=REDACTED',
    });
    expect(Object.keys(line)).toEqual([
      'path',
      'status',
      'header.x-tenant',
      'header.cookie',
      'header.referer',
    ]);
    expect(stage.fairlead.output()).not.toMatch(/hunter[34]/);
    await ask('/chosen-again');
    expect(await stage.logged('/chosen-again')).toEqual({ path: '/chosen-again', status: 200 });
  });

  test('of a failure, its phase and its hint may be chosen like all else', async () => {
    for (const path of ['/garbage', '/garbage-again']) stage.on(path, answer('garbage\r\n\r\n'));
    await reloadWith(stage, { access_log_fields: ['hint', 'path', 'status'] });
    await ask('/garbage');
    expect(await stage.logged('/garbage')).toEqual({
      path: '/garbage',
      status: 502,
      hint: expect.stringContaining('error_detail'),
    });
    await reloadWith(stage, { access_log_fields: ['phase', 'path', 'status'] });
    await ask('/garbage-again');
    expect(await stage.logged('/garbage-again')).toEqual({
      path: '/garbage-again',
      status: 502,
      phase: 'wait',
    });
    await reloadWith(stage, {
      access_log_fields: ['path', 'status', 'header.X-Tenant', 'header.cookie'],
    });
  });

  test('what is a secret is as the config says', async () => {
    await reloadWith(stage, { access_log_redact: { query: ['Key'], headers: ['x-tenant'] } });
    await ask('/secrets?token=a&key=b', ['X-Tenant: c', 'Cookie: d']);
    expect(await stage.logged('/secrets?token=a&key=REDACTED')).toEqual({
      path: '/secrets?token=a&key=REDACTED',
      status: 200,
      'header.x-tenant': 'REDACTED',
      'header.cookie': 'd',
    });
  });
});

test('of what goes well no line is left at 0 percent; errors and retries have theirs', async () => {
  const other = await scriptedBackend();
  const fairlead = await startProxy([stage.backend.url, other.url], {
    access_log_sampling: { percent: 0, slow: '1h' },
    retries: { on_status: [503] },
  });
  for (const backend of [stage.backend, other]) {
    backend.on('/missing', answer('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'));
  }
  stage.on('/retried', answer('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n'));
  // With two in turn, one of two requests at least is tried again.
  for (const path of ['/well', '/missing', '/retried', '/retried', '/end']) {
    await fetch(`${fairlead.url}${path}`);
  }
  await fetch(`${fairlead.url}/missing`);
  const paths = await waitFor(() => {
    const all = fairlead.accessLines().map(({ path }) => path);
    return all.filter((path) => path === '/missing').length === 2 ? all : undefined;
  });
  expect([...new Set(paths)]).toEqual(['/missing', '/retried']);
});
