import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { okResponse } from '../support/raw-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { answer, get, type Stage, startProxy, startStage } from './stage.ts';

let stage: Stage;
/** A proxy for which this machine is a trusted proxy. */
let trusting: Stage;
beforeAll(async () => {
  stage = await startStage();
  trusting = await startStage({ trusted_proxies: ['127.0.0.0/8', '10.0.0.0/8'], forwarded: true });
});

/** Sends a request and returns the head that the backend got, without its blank line. */
async function forwarded(
  by: Stage,
  path: string,
  fields: readonly string[],
  request = get(path, fields),
): Promise<string[]> {
  const heads: string[] = [];
  by.on(path, async (connection, head) => {
    heads.push(head);
    await connection.write(okResponse());
  });
  const client = await by.client();
  await client.write(request);
  expect((await client.readResponse()).status).toBe(200);
  return (heads[0] ?? '').slice(0, -4).split('\r\n');
}

function values(head: readonly string[], name: string): string[] {
  const prefix = `${name.toLowerCase()}: `;
  return head
    .filter((line) => line.toLowerCase().startsWith(prefix))
    .map((line) => line.slice(prefix.length));
}

describe('what a request tells of its client', () => {
  test('is set anew for a peer that is not trusted', async () => {
    const head = await forwarded(stage, '/untrusted', [
      'X-Forwarded-For: 1.2.3.4',
      'X-Forwarded-Proto: https',
      'x-forwarded-host: evil.example',
      'X-Forwarded-Port: 1',
      'X-Forwarded-Prefix: /evil',
      'Forwarded: for=1.2.3.4',
      'X_Forwarded_For: 1.2.3.4',
    ]);
    expect(values(head, 'x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(values(head, 'x-forwarded-proto')).toEqual(['http']);
    expect(values(head, 'x-forwarded-host')).toEqual(['test']);
    expect(values(head, 'x-forwarded-port')).toEqual(['80']);
    expect(values(head, 'x-forwarded-prefix')).toEqual([]);
    expect(values(head, 'forwarded')).toEqual([]);
    expect(head.join('\n')).not.toContain('1.2.3.4');
  });

  test('is extended for a trusted one', async () => {
    const head = await forwarded(trusting, '/trusted', [
      'X-Forwarded-For: 203.0.113.9',
      'X-Forwarded-For: 10.1.1.1',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: public.example',
      'X-Forwarded-Port: 443',
      'Forwarded: for=203.0.113.9',
    ]);
    expect(values(head, 'x-forwarded-for')).toEqual(['203.0.113.9, 10.1.1.1, 127.0.0.1']);
    expect(values(head, 'x-forwarded-proto')).toEqual(['https']);
    expect(values(head, 'x-forwarded-host')).toEqual(['public.example']);
    expect(values(head, 'x-forwarded-port')).toEqual(['443']);
    expect(values(head, 'forwarded')).toEqual([
      'for=203.0.113.9',
      'for=127.0.0.1;host="test";proto=http',
    ]);
  });

  test.each([
    [['X-Forwarded-For: 203.0.113.9'], '203.0.113.9'],
    [['X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.2.2.2'], '203.0.113.9'],
    [['X-Forwarded-For: 6.6.6.6', 'X-Forwarded-For: 203.0.113.9'], '203.0.113.9'],
    [['X-Forwarded-For: 6.6.6.6, not-an-address, 10.2.2.2'], '10.2.2.2'],
    [['X-Forwarded-For: 203.0.113.9:4711'], '203.0.113.9'],
    [['X-Forwarded-For: [2001:db8::1]:4711'], '2001:db8::1'],
    [['X-Forwarded-For: fe80::1%"x'], '127.0.0.1'],
    [[], '127.0.0.1'],
  ])('%j behind trusted proxies means the client %s', async (fields, client) => {
    const path = `/client/${encodeURIComponent(fields.join())}`;
    await forwarded(trusting, path, fields);
    expect(await trusting.logged(path)).toMatchObject({ client });
  });

  test('cannot be removed by naming it in Connection', async () => {
    const head = await forwarded(stage, '/nominated', [
      'Connection: keep-alive, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Request-Id, Via, Host, Authorization, X-Mine',
      'Authorization: Basic abc',
      'X-Mine: goes',
      'X-Other: stays',
    ]);
    for (const name of [
      'x-forwarded-for',
      'x-forwarded-proto',
      'x-forwarded-host',
      'x-request-id',
      'via',
      'host',
      'authorization',
      'x-other',
    ]) {
      expect(values(head, name)).toHaveLength(1);
    }
    expect(values(head, 'x-mine')).toEqual([]);
  });
});

describe('the request id', () => {
  test.each(['abc-123', 'trace:0af7651916cd43dd/1'])('%s of a client is kept', async (id) => {
    const path = `/id/${id}`;
    const head = await forwarded(stage, path, [`x-request-id: ${id}`]);
    expect(values(head, 'x-request-id')).toEqual([id]);
    expect(await stage.logged(path)).toMatchObject({ request_id: id });
  });

  test.each([
    ['none', []],
    ['one with spaces', ['X-Request-Id: a b']],
    ['a huge one', [`X-Request-Id: ${'a'.repeat(129)}`]],
    ['two', ['X-Request-Id: a', 'X-Request-Id: b']],
  ])('is made for a request with %s', async (name, fields) => {
    const head = await forwarded(stage, `/made-id/${name.replaceAll(' ', '-')}`, fields);
    expect(values(head, 'x-request-id')).toEqual([expect.stringMatching(/^[0-9a-f]{16}-\w+$/)]);
  });
});

describe('hop-by-hop fields', () => {
  test('of a request stay on their hop', async () => {
    const head = await forwarded(stage, '/hop-up', [
      'Connection: close, X-Private',
      'X-Private: 1',
      'Keep-Alive: timeout=5',
      'Proxy-Connection: keep-alive',
      'Proxy-Authorization: Basic abc',
      'TE: gzip',
      'Upgrade: h2c',
      'X-Public: 1',
    ]);
    const names = head.slice(1).map((line) => line.slice(0, line.indexOf(':')).toLowerCase());
    for (const name of [
      'connection',
      'x-private',
      'keep-alive',
      'proxy-connection',
      'proxy-authorization',
      'te',
      'upgrade',
    ]) {
      expect(names).not.toContain(name);
    }
    expect(names).toContain('x-public');
  });

  test('of a response stay on theirs', async () => {
    stage.on(
      '/hop-down',
      answer(
        okResponse('x', [
          'Connection: X-Private',
          'X-Private: 1',
          'Keep-Alive: timeout=5',
          'Proxy-Connection: keep-alive',
          'Upgrade: h2c',
          'X-Public: 1',
        ]),
      ),
    );
    const client = await stage.client();
    await client.write(get('/hop-down'));
    const { fields } = await client.readResponse();
    expect([...fields.keys()].toSorted()).toEqual(['content-length', 'date', 'via', 'x-public']);
  });
});

describe('everything else passes as it came', () => {
  test('in requests: order, case, duplicates, latin-1, spaces, path', async () => {
    const fields = [
      'x-LOWER: 1',
      'X-Dup: one',
      'x-dup:   two  ',
      'X-Latin: \xe9\xff',
      'X-Empty:',
      'Cookie: a=1; b="2"',
      'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      'tracestate: congo=t61rcWkgMzE,rojo=00f067aa0ba902b7',
      'tracestate: second=2',
    ];
    const path = "/a/../b/./%2e%2e/c%2Fd//e?q=%41&r=a+b&s='(~)";
    const head = await forwarded(stage, path, fields);
    expect(head[0]).toBe(`GET ${path} HTTP/1.1`);
    expect(head.slice(1, 2 + fields.length)).toEqual(['Host: test', ...fields]);
  });

  test('in responses: status line, order, case, duplicates, latin-1', async () => {
    const fields = [
      'SET-cookie: a=1',
      'Set-Cookie: b=2',
      'X-Latin: \xe9',
      'x-CASE: 1',
      'Server: mine',
    ];
    stage.on(
      '/verbatim',
      answer(
        Buffer.from(
          `HTTP/1.1 299 Odd \xe9 Reason\r\n${fields.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`,
          'latin1',
        ),
      ),
    );
    const client = await stage.client();
    await client.write(get('/verbatim'));
    const lines = (await client.readUntil('\r\n\r\n')).split('\r\n');
    expect(lines.slice(0, 1 + fields.length)).toEqual(['HTTP/1.1 299 Odd \xe9 Reason', ...fields]);
  });

  test.each(['PROPFIND', 'M-SEARCH', 'patch', 'QUERY'])('the method %s', async (method) => {
    const path = `/method/${method}`;
    const [line] = await forwarded(stage, path, [], get(path, [], method));
    expect(line).toBe(`${method} ${path} HTTP/1.1`);
  });

  test('a body of GET and DELETE keeps its framing', async () => {
    for (const method of ['GET', 'DELETE', 'OPTIONS']) {
      const path = `/body-of/${method}`;
      const bodies: string[] = [];
      stage.on(path, async (connection, head) => {
        expect(head).toContain('\r\nContent-Length: 5\r\n');
        bodies.push((await connection.readBytes(5)).toString());
        await connection.write(okResponse());
      });
      const client = await stage.client();
      await client.write(`${get(path, ['Content-Length: 5'], method)}hello${get('/behind-body')}`);
      await client.readResponse();
      expect((await client.readResponse()).body.toString()).toBe('ok');
      expect(bodies).toEqual(['hello']);
    }
    expect(stage.backend.raw.errors).toEqual([]);
  });
});

test('Via names both directions, with the version that was received', async () => {
  const head = await forwarded(stage, '/via', ['Via: 1.0 outer']);
  expect(values(head, 'via')).toEqual([
    '1.0 outer',
    expect.stringMatching(/^1\.1 fairlead-[0-9a-f]{12}$/),
  ]);
  const old = await forwarded(stage, '/via-old', [], 'GET /via-old HTTP/1.0\r\nHost: a\r\n\r\n');
  expect(values(old, 'via')).toEqual([expect.stringMatching(/^1\.0 fairlead-[0-9a-f]{12}$/)]);
  stage.on('/via-down', answer(okResponse('x', ['Via: 1.1 inner'])));
  const client = await stage.client();
  await client.write(get('/via-down'));
  expect((await client.readResponse()).fields.get('via')).toEqual(['1.1 inner', '1.1 fairlead']);
});

describe('the Host field', () => {
  test('is the client’s by default', async () => {
    const head = await forwarded(stage, '/host', []);
    expect(values(head, 'host')).toEqual(['test']);
  });

  test('comes from the target where that names one', async () => {
    const request = 'GET http://named.example:81/abs HTTP/1.1\r\nHost: named.example:81\r\n\r\n';
    const head = await forwarded(stage, '/abs', [], request);
    expect(head[0]).toBe('GET /abs HTTP/1.1');
    expect(values(head, 'host')).toEqual(['named.example:81']);
  });

  test('is made for an HTTP/1.0 request without one', async () => {
    const head = await forwarded(stage, '/no-host', [], 'GET /no-host HTTP/1.0\r\n\r\n');
    expect(values(head, 'host')).toEqual([`127.0.0.1:${stage.backend.raw.port}`]);
  });

  test.each([
    ['backend', () => `127.0.0.1:${stage.backend.raw.port}`],
    ['fixed.example', () => 'fixed.example'],
  ])('with host_header: %s is replaced', async (hostHeader, expected) => {
    const fairlead = await startProxy([stage.backend.url], { host_header: hostHeader });
    const heads: string[] = [];
    stage.on('/replaced', async (connection, head) => {
      heads.push(head);
      await connection.write(okResponse());
    });
    const client = await rawClient(fairlead.port);
    await client.write(get('/replaced'));
    await client.readResponse();
    const head = (heads[0] ?? '').split('\r\n');
    expect(values(head, 'host')).toEqual([expected()]);
    expect(values(head, 'x-forwarded-host')).toEqual(['test']);
  });
});

describe('versions beyond 1.1 (RFC 9110 §6.2)', () => {
  test.each(['1.2', '1.9'])('a request of HTTP/%s is one of 1.1', async (version) => {
    const path = `/version-${version}`;
    const head = await forwarded(stage, path, [], get(path).replace('1.1', version));
    expect(head[0]).toBe(`GET ${path} HTTP/1.1`);
    expect(values(head, 'via')).toEqual([expect.stringMatching(/^1\.1 /)]);
  });

  test('so is an answer, and its connection stays open', async () => {
    stage.on('/version-down', answer(okResponse('x').replace('HTTP/1.1', 'HTTP/1.2')));
    const client = await stage.client();
    for (let round = 0; round < 2; round++) {
      await client.write(get('/version-down'));
      expect((await client.readResponse()).head).toMatch(/^HTTP\/1\.1 200 /);
    }
    const [first, second] = stage.backend.served('/version-down');
    expect(second).toBe(first);
  });
});

describe('the Date field', () => {
  test('is added to an answer without one', async () => {
    const client = await stage.client();
    stage.on('/no-date', answer(okResponse('x')));
    const before = Date.now();
    await client.write(get('/no-date'));
    const dates = (await client.readResponse()).fields.get('date') ?? [];
    expect(dates).toHaveLength(1);
    const date = Date.parse(dates[0] ?? '');
    expect(date).toBeGreaterThan(before - 1_000);
    expect(date).toBeLessThanOrEqual(Date.now());
  });

  test('of a backend stays as it is', async () => {
    const theirs = 'Thu, 01 Jan 1970 00:00:00 GMT';
    stage.on('/date', answer(okResponse('x', [`date: ${theirs}`])));
    const client = await stage.client();
    await client.write(get('/date'));
    expect((await client.readResponse()).fields.get('date')).toEqual([theirs]);
  });
});

test('via: false and x_forwarded: false add nothing, and a reload turns them on', async () => {
  const quiet = await startStage({ via: false, x_forwarded: false });
  const head = await forwarded(quiet, '/quiet', ['X-Forwarded-For: 1.2.3.4', 'Via: 1.0 outer']);
  expect(head.filter((line) => /^(via|x-forwarded)/i.test(line))).toEqual(['Via: 1.0 outer']);
  const client = await quiet.client();
  await client.write(get('/quiet'));
  expect((await client.readResponse()).fields.get('via')).toBeUndefined();

  const file = join(quiet.fairlead.cwd, 'fairlead.config.json');
  const config = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  await writeFile(file, JSON.stringify({ ...config, via: true, x_forwarded: true }));
  expect((await fetch(`${quiet.fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
  await client.write(get('/quiet'));
  expect((await client.readResponse()).fields.get('via')).toEqual(['1.1 fairlead']);
  const after = await forwarded(quiet, '/quiet', []);
  expect(values(after, 'x-forwarded-for')).toEqual(['127.0.0.1']);
});
