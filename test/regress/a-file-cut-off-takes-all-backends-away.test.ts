/**
 * A config file was reloaded while it was half copied: it ended before `backends:`, and every backend was removed. With `pools:` it
 * ended before `routes:`: the backends were there, and no request got to them.
 */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

interface Started {
  readonly fairlead: Fairlead;
  readonly file: string;
  readonly backendUrl: string;
}

async function startWithFile(text = shortForm): Promise<Started> {
  const { url } = await httpBackend();
  const cwd = temporaryFolder('cut-off');
  const file = join(cwd, 'fairlead.config.yaml');
  await writeFile(file, text(url));
  return { fairlead: await startFairlead({ cwd }), file, backendUrl: url };
}

function shortForm(url: string): string {
  return `strategy: random-two\nbackends:\n  - ${url}\n`;
}

function poolOnly(url: string): string {
  return `pools:\n  web:\n    backends:\n      - ${url}\n`;
}

function longForm(url: string): string {
  return `${poolOnly(url)}routes:\n  - host: localhost\n    pool: web\n  - pool: web\n`;
}

async function reload({ adminUrl }: Fairlead): Promise<{ status: number; json: unknown }> {
  const answer = await fetch(`${adminUrl}/reload`, { method: 'POST' });
  return { status: answer.status, json: await answer.json() };
}

async function backendCount({ adminUrl }: Fairlead): Promise<number> {
  const answer = await fetch(`${adminUrl}/backends`);
  return ((await answer.json()) as unknown[]).length;
}

describe('a reload that would take the last backend away', () => {
  it.each([
    ['before its backends', 'strategy: ip-hash\n'],
    ['at its beginning', ''],
    ['behind the key', 'strategy: ip-hash\nbackends:'],
    ['within the key', 'strategy: ip-hash\nback'],
  ])('is refused when the file is cut off %s', async (_where, text) => {
    const { fairlead, file, backendUrl } = await startWithFile();
    await writeFile(file, text);
    expect((await reload(fairlead)).status).toBe(422);
    expect(await backendCount(fairlead)).toBe(1);
    expect((await fetch(fairlead.url)).status).toBe(200);
    const config = await (await fetch(`${fairlead.adminUrl}/config`)).json();
    expect(config).toMatchObject({ config: { strategy: 'random-two', backends: [backendUrl] } });
  });

  it('is refused when one of several pools would have none', async () => {
    const { fairlead, file } = await startWithFile(longForm);
    const { url } = await httpBackend();
    const twoPools = (web: string) =>
      `pools:\n  api: { backends: [${url}] }\n  web: { ${web} }\n` +
      'routes:\n  - { host: api.localhost, pool: api }\n  - pool: web\n';
    await writeFile(file, twoPools('strategy: random-two'));
    expect(await reload(fairlead)).toMatchObject({
      status: 422,
      json: {
        problems: [{ path: 'pools.web.backends', hint: expect.stringContaining('backends: []') }],
      },
    });
    expect((await fetch(fairlead.url)).status).toBe(200);
    await writeFile(file, twoPools('backends: []'));
    expect((await reload(fairlead)).status).toBe(200);
    expect((await fetch(fairlead.url)).status).toBe(503);
  });

  it('is refused when the file is gone', async () => {
    const { fairlead, file } = await startWithFile();
    await rm(file);
    expect((await reload(fairlead)).status).toBe(422);
    expect(await backendCount(fairlead)).toBe(1);
  });

  it('says what to write, and is made when that is written', async () => {
    const { fairlead, file } = await startWithFile();
    await writeFile(file, 'strategy: ip-hash\n');
    expect(await reload(fairlead)).toMatchObject({
      status: 422,
      json: {
        code: 'ERR_BAD_CONFIG',
        problems: [{ file, path: 'backends', hint: expect.stringContaining('"backends: []"') }],
      },
    });
    const { problems, msg } = await fairlead.waitForLog(({ event }) => event === 'config.refused');
    expect(msg).toMatch(
      /^the reload was refused: .*: backends: no backends any more, .*\. Nothing was changed$/,
    );
    expect(problems).toMatchObject([{ path: 'backends' }]);
    await writeFile(file, 'strategy: ip-hash\nbackends: []\n');
    expect((await reload(fairlead)).status).toBe(200);
    expect(await backendCount(fairlead)).toBe(0);
    // None were there before: nothing is lost.
    await writeFile(file, 'strategy: random-two\n');
    expect((await reload(fairlead)).status).toBe(200);
  });
});

describe('a reload after which no route leads to a backend', () => {
  it('is refused when the file is cut off before its routes', async () => {
    const { fairlead, file, backendUrl } = await startWithFile(longForm);
    for (const text of [poolOnly(backendUrl), `${poolOnly(backendUrl)}routes:`, 'pools:\n  web:']) {
      await writeFile(file, text);
      expect((await reload(fairlead)).status).toBe(422);
      expect((await fetch(fairlead.url)).status).toBe(200);
    }
    await writeFile(file, poolOnly(backendUrl));
    expect(await reload(fairlead)).toMatchObject({
      json: {
        problems: [{ file, path: 'routes', message: expect.stringContaining('no route leads to') }],
      },
    });
  });

  it.each([
    ['at the top level', (url: string) => `backends: []\n${poolOnly(url)}`],
    ['in the pool of a route', () => 'pools:\n  web:\n    backends: []\nroutes:\n  - pool: web\n'],
  ])('is made when an empty list is written %s', async (_where, text) => {
    const { fairlead, file, backendUrl } = await startWithFile(longForm);
    await writeFile(file, text(backendUrl));
    expect((await reload(fairlead)).status).toBe(200);
    expect((await fetch(fairlead.url)).status).toBe(503);
  });

  it('is made where none of those in use were reached before', async () => {
    const { fairlead, file, backendUrl } = await startWithFile(
      (url) => `backends: []\n${poolOnly(url)}`,
    );
    await writeFile(file, `${poolOnly(backendUrl)}  api: {}\n`);
    expect((await reload(fairlead)).status).toBe(200);
  });
});
