/**
 * `lenient_responses`: what old devices answer is understood, and clients get it in proper form, so that nothing in it can
 * be read another way further on. Without the setting, all of it is a bad response.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Fairlead } from '../support/fairlead.ts';
import { rawBackend } from '../support/raw-backend.ts';
import { SOON_MS, waitFor } from '../support/wait-for.ts';
import { answer, get, QUIET_HEALTH, type Stage, startProxy, startStage } from './stage.ts';

const BARE_LF = 'HTTP/1.1 200 OK\nServer: old\nContent-Length: 5\n\nhello';
const SPACED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5  \r\nhello\r\n0\r\n\r\n';
const BOTH =
  'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n';
/** All at once, with a trailer. */
const ALL =
  'HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nContent-Length: 99\n\n2 \nhe\n3\nllo\n0\nX-Sum: 1\n\n';

const ANSWERS = { BARE_LF, SPACED, BOTH, ALL };
type Name = keyof typeof ANSWERS;
const NAMES = Object.keys(ANSWERS) as Name[];

function script(stage: Stage): void {
  for (const name of NAMES) stage.on(`/${name}`, answer(ANSWERS[name]));
}

async function setLenient(fairlead: Fairlead, isLenient: boolean): Promise<void> {
  const file = join(fairlead.cwd, 'fairlead.config.json');
  const config = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  await writeFile(file, JSON.stringify({ ...config, lenient_responses: isLenient }));
  expect((await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
}

/** The whole answer as it came, over a connection that ends with it. */
async function whole(stage: Stage, path: string, { method = 'GET', minor = 1 } = {}) {
  const client = await stage.client();
  await client.write(`${method} ${path} HTTP/1.${minor}\r\nHost: a\r\nConnection: close\r\n\r\n`);
  return (await client.readToEnd()).toString('latin1');
}

describe('lenient_responses: true', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await startStage({ lenient_responses: true, via: false });
    script(stage);
  });

  test.each(NAMES)('%s arrives, in proper form', async (name) => {
    const client = await stage.client();
    await client.write(get(`/${name}`));
    const response = await client.readResponse();
    expect([response.status, response.body.toString()]).toEqual([200, 'hello']);
    // The same connection goes on: where the answer ends is beyond doubt.
    await client.write(get('/'));
    expect((await client.readResponse()).body.toString()).toBe('ok');
  });

  test.each(NAMES)(
    'no line of %s ends without CR, and no length says something else',
    async (name) => {
      const text = await whole(stage, `/${name}`);
      expect(text).not.toMatch(/(?<!\r)\n/);
      expect(text.includes('Content-Length')).toBe(name === 'BARE_LF');
      expect(text.includes('Transfer-Encoding: chunked')).toBe(name !== 'BARE_LF');
      expect(text.endsWith(name === 'ALL' ? '\r\n0\r\nX-Sum: 1\r\n\r\n' : '')).toBe(true);
    },
  );

  test('to HTTP/1.0 and to HEAD, a length that says something else is dropped too', async () => {
    const old = await whole(stage, '/BOTH', { minor: 0 });
    expect(old).not.toMatch(/content-length|transfer-encoding/i);
    expect(old.endsWith('\r\n\r\nhello')).toBe(true);
    stage.on('/head', answer('HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nContent-Length: 3\n\n'));
    const head = await whole(stage, '/head', { method: 'HEAD' });
    expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(head).not.toMatch(/content-length/i);
  });

  test('a length beside chunks is the last answer of its connection', async () => {
    await whole(stage, '/BOTH');
    const [connection] = stage.backend.served('/BOTH').slice(-1);
    await waitFor(() => connection?.isEnded, SOON_MS, 'the end of the connection');
    // Lines that end with LF leave no doubt.
    await whole(stage, '/BARE_LF');
    await whole(stage, '/after');
    expect(stage.backend.served('/after').at(-1)).toBe(stage.backend.served('/BARE_LF').at(-1));
  });

  test('interim answers may be like that as well', async () => {
    stage.on('/hints', answer(`HTTP/1.1 103 Early\nLink: </a>\n\n${BARE_LF}`));
    expect(await whole(stage, '/hints')).toMatch(
      /^HTTP\/1\.1 103 Early\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 200 OK\r\nServer: old\r\n/,
    );
  });

  test('requests are read as strictly as ever', async () => {
    for (const request of [
      'GET / HTTP/1.1\nHost: a\n\n',
      'GET / HTTP/1.1\r\nHost: a\n\r\n',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n',
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\na\n0\n\n',
    ]) {
      const client = await stage.client();
      await client.write(request);
      expect((await client.readToEnd()).toString('latin1')).toMatch(/^HTTP\/1\.1 400 /);
    }
  });

  test('what else is wrong is still a bad response', async () => {
    for (const [index, wrong] of [
      'HTTP/1.1 200 OK\rContent-Length: 0\n\n',
      'HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 2\n\na',
      'HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked\n\n0\n\n',
      'HTTP/1.1 200 OK\nA : b\n\n',
      'HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5 0\nhello\n0\n\n',
    ].entries()) {
      stage.on(`/wrong-${index}`, answer(wrong));
      expect(await whole(stage, `/wrong-${index}`)).toMatch(/^HTTP\/1\.1 502 /);
    }
  });
});

test('by default all of it is a bad response; a reload lets it through, and stops it again', async () => {
  const stage = await startStage();
  script(stage);
  const statuses = async (): Promise<string[]> =>
    Promise.all(
      NAMES.map(async (name) => (await whole(stage, `/${name}`)).split(' ', 2)[1] as string),
    );
  expect(await statuses()).toEqual(['502', '502', '502', '502']);
  for (const name of NAMES) {
    const { error_detail } = await stage.logged(`/${name}`);
    expect(error_detail).toContain(' (lenient_responses may let it through)');
  }
  await setLenient(stage.fairlead, true);
  expect(await statuses()).toEqual(['200', '200', '200', '200']);
  await setLenient(stage.fairlead, false);
  expect(await statuses()).toEqual(['502', '502', '502', '502']);
});

test('health checks of such a backend pass, from the reload on that allows it', async () => {
  const backend = await rawBackend(async (connection) => {
    await connection.readHead(600_000);
    await connection.write(BARE_LF);
    connection.end();
  });
  const config = {
    ...QUIET_HEALTH,
    health_check_method: 'http',
    health_check_timeout: '5s',
    health_check_rise: 1,
    health_check_fall: 1,
    retries: false,
  };
  const lenient = await startProxy([backend.url], { ...config, lenient_responses: true });
  const status = async (): Promise<number> => (await fetch(lenient.url)).status;
  expect(await status()).toBe(200);
  await setLenient(lenient, false);
  // Down, and not only misunderstood.
  await waitFor(async () => (await status()) === 503, SOON_MS, 'the backend to be down');
  await setLenient(lenient, true);
  await waitFor(async () => (await status()) === 200, SOON_MS, 'the backend to be up');
});
