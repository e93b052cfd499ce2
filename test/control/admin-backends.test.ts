import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';
import { rawBackend } from '../support/raw-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';
import { backend } from './fixtures.ts';
import { running } from './running.ts';

describe('the admin API: backends', () => {
  it('starts empty, adds by hand, shows, removes', async () => {
    const { call } = await running();
    expect((await call('GET', '/status')).json).toMatchObject({
      strategy: 'round-robin',
      total_backends: 0,
      active_backends: 0,
      generation: 1,
      backends: [],
    });
    const { url } = await httpBackend();
    const added = await call('POST', '/backends', { url });
    expect(added.status).toBe(201);
    expect(added.headers.location).toBe('/backends/0');
    expect(added.json).toMatchObject({
      id: 0,
      url,
      weight: 1,
      alive: true,
      state: 'enabled',
      health: 'healthy',
      conns: 0,
      current_connections: 0,
      requests: 0,
      errors: 0,
      latency_ms: 0,
      source: 'api',
    });
    expect((await call('GET', '/status')).json).toMatchObject({
      total_backends: 1,
      active_backends: 1,
    });
    expect((await call('DELETE', '/backends', { url: `${url.toUpperCase()}/` })).status).toBe(200);
    expect((await call('GET', '/backends')).json).toEqual([]);
    expect((await call('GET', '/backends/0')).status).toBe(404);
  });

  it('brings one back as the one that it was, and nobody in its place', async () => {
    const { call } = await running();
    const [one, other] = [await httpBackend(), await httpBackend()];
    const { json: first } = await call('POST', '/backends', { url: one.url, state: 'disabled' });
    expect(first).toMatchObject({ id: 0, state: 'disabled', alive: false });
    await call('DELETE', '/backends/0');
    const taken = await call('POST', '/backends', { url: other.url, id: 0 });
    expect([taken.status, taken.json]).toMatchObject([409, { code: 'ERR_ID_NOT_FREE' }]);
    const back = { url: one.url, weight: 3, state: 'disabled', id: 0 };
    expect(await call('POST', '/backends', back)).toMatchObject({
      status: 201,
      json: { id: 0, weight: 3, state: 'disabled' },
      headers: { location: '/backends/0' },
    });
    expect((await call('POST', '/backends', { url: other.url })).json).toMatchObject({ id: 1 });
    for (const id of [-1, 1.5, '0', null]) {
      const refused = await call('POST', '/backends', { url: 'http://localhost:1', id });
      expect([refused.status, refused.json]).toMatchObject([422, { code: 'ERR_INVALID_VALUE' }]);
    }
  });

  it('says truthfully whether a new backend lives, and does not wait for ever', async () => {
    const { call } = await running();
    const dead = await call('POST', '/backends', { url: `http://127.0.0.1:${await freePort()}` });
    expect(dead.json).toMatchObject({ alive: false, health: 'unhealthy' });
    const silent = await rawBackend(() => {});
    const slow = await call('POST', '/backends', { url: silent.url });
    expect(slow.status).toBe(201);
    expect(slow.json).toMatchObject({ alive: false });
  });

  it('takes what curl -d sends', async () => {
    const { call } = await running();
    const { url } = await httpBackend();
    const answer = await call('POST', '/backends', JSON.stringify({ url, weight: 5 }), {
      'Content-Type': 'application/x-www-form-urlencoded',
    });
    expect(answer.json).toMatchObject({ weight: 5 });
  });

  it('refuses what is wrong, and says what', async () => {
    const { call } = await running({ backends: [backend('http://127.0.0.1:1')] });
    for (const [body, status, code, hint] of [
      ['{bad json}', 400, 'ERR_BAD_JSON', undefined],
      ['', 400, 'ERR_BAD_JSON', undefined],
      [Buffer.from([0xff, 0xfe]), 400, 'ERR_BAD_JSON', undefined],
      ['[]', 422, 'ERR_NOT_AN_OBJECT', undefined],
      ['null', 422, 'ERR_NOT_AN_OBJECT', undefined],
      ['{}', 422, 'ERR_INVALID_VALUE', undefined],
      [{ url: 5 }, 422, 'ERR_INVALID_VALUE', undefined],
      [
        { url: 'http://localhost:8081', wieght: 1 },
        422,
        'ERR_UNKNOWN_KEY',
        'did you mean "weight"?',
      ],
      [
        '{"url":"http://localhost:8081","__proto__":{"weight":3}}',
        422,
        'ERR_UNKNOWN_KEY',
        undefined,
      ],
      [{ url: 'ftp://localhost' }, 422, 'ERR_INVALID_URL', undefined],
      [{ url: 'http://localhost:8081/path/../x' }, 422, 'ERR_INVALID_URL', undefined],
      [{ url: 'http://localhost:8081', weight: -1 }, 422, 'ERR_INVALID_WEIGHT', undefined],
      [{ url: 'http://localhost:8081', weight: 1001 }, 422, 'ERR_INVALID_WEIGHT', undefined],
      [{ url: 'http://localhost:8081', backup: 'yes' }, 422, 'ERR_INVALID_VALUE', undefined],
      [{ url: 'http://localhost:8081', weight: 1.5 }, 422, 'ERR_INVALID_WEIGHT', undefined],
      [{ url: 'http://localhost:8081', weight: '2' }, 422, 'ERR_INVALID_WEIGHT', undefined],
      [{ url: 'HTTP://127.0.0.1:1/' }, 409, 'ERR_DUPLICATE_BACKEND', undefined],
    ] as const) {
      const answer = await call('POST', '/backends', body);
      expect([body, answer.status]).toEqual([body, status]);
      expect(answer.headers['content-type']).toBe('application/problem+json');
      expect(answer.json).toMatchObject({ status, code, ...(hint !== undefined && { hint }) });
    }
    expect((await call('GET', '/status')).json).toMatchObject({ generation: 1, total_backends: 1 });
  });

  it.each([
    ['DELETE', '/backends/0?drian=30s', 'ERR_UNKNOWN_PARAMETER', 'did you mean "drain"?'],
    ['PATCH', '/backends/0?drain=1s&drain=9s', 'ERR_INVALID_VALUE', undefined],
    ['PUT', '/backends/0/status?drain=3s', 'ERR_UNKNOWN_PARAMETER', undefined],
    ['POST', '/backends?url=http://localhost:1', 'ERR_UNKNOWN_PARAMETER', undefined],
  ])(
    'refuses %s %s: what it misunderstood could not be undone',
    async (method, path, code, hint) => {
      const { call } = await running({ backends: [backend('http://127.0.0.1:1')] });
      const answer = await call(method, path, { state: 'draining', alive: false });
      expect(answer).toMatchObject({ status: 422, json: { code, ...(hint && { hint }) } });
      const view = await call('GET', '/backends/0?whatever=1');
      expect(view).toMatchObject({ status: 200, json: { state: 'enabled' } });
    },
  );

  it('takes a backend out until it is put back, whatever the checks say', async () => {
    const { url } = await httpBackend();
    const { call } = await running({ backends: [backend(url)] });
    expect((await call('PUT', '/backends/0/status', { alive: false })).json).toMatchObject({
      alive: false,
      state: 'disabled',
      health: 'healthy',
    });
    expect((await call('PUT', '/backends/0/status', { alive: 'yes' })).status).toBe(422);
    expect((await call('PUT', '/backends/0/status', { alive: true })).json).toMatchObject({
      alive: true,
    });
    expect((await call('PUT', '/backends/7/status', { alive: true })).status).toBe(404);
    expect((await call('PUT', '/backends/x/status', { alive: true })).status).toBe(404);
  });

  it('changes weight and state, both or one', async () => {
    const { url } = await httpBackend();
    const { call } = await running({ backends: [backend(url)] });
    expect(
      (await call('PATCH', '/backends/0', { weight: 9, state: 'draining' })).json,
    ).toMatchObject({
      weight: 9,
      state: 'draining',
      alive: false,
    });
    expect((await call('PATCH', '/backends/0', { state: 'enable' })).json).toMatchObject({
      code: 'ERR_INVALID_VALUE',
      hint: 'did you mean "enabled"?',
    });
    expect((await call('PATCH', '/backends/0', {})).status).toBe(422);
    expect((await call('GET', '/pools/default/backends/0')).json).toMatchObject({ weight: 9 });
    expect((await call('GET', '/pools/other/backends/0')).json).toMatchObject({
      code: 'ERR_UNKNOWN_POOL',
    });
  });

  it('guards against lost updates', async () => {
    const { call } = await running({ backends: [backend('http://127.0.0.1:1')] });
    const { etag = '' } = (await call('GET', '/backends/0')).headers;
    expect(etag).toMatch(/^"[0-9a-f]{8}-1"$/);
    expect((await call('PATCH', '/backends/0', { weight: 2 }, { 'If-Match': '"1"' })).status).toBe(
      412,
    );
    expect(
      (await call('PATCH', '/backends/0', { weight: 2 }, { 'If-Match': etag })).headers.etag,
    ).toMatch(/-2"$/);
    const late = await call('PATCH', '/backends/0', { weight: 3 }, { 'If-Match': etag });
    expect(late.status).toBe(412);
    expect(late.headers.etag).toMatch(/-2"$/);
    expect((await call('GET', '/backends/0')).json).toMatchObject({ weight: 2 });
    const several = { 'If-Match': `"8", ${late.headers.etag}` };
    expect((await call('DELETE', '/backends/0', undefined, several)).status).toBe(200);
  });

  it('lets only one of two equal changes at the same moment through', async () => {
    const { call } = await running();
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => call('POST', '/backends', { url: 'http://127.0.0.1:1' })),
    );
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, 409, 409, 409, 409]);
  });

  it('drains before it removes', async () => {
    const { fairlead, call } = await running({ backends: [backend('http://127.0.0.1:1')] });
    expect((await call('DELETE', '/backends/0?drain=soon')).status).toBe(422);
    expect((await call('DELETE', '/backends/0?drain=30s')).json).toMatchObject({
      state: 'draining',
    });
    await waitFor(async () => (await call('GET', '/backends/0')).status === 404);
    expect(fairlead.port).toBeGreaterThan(0);
  });

  it('survive a restart: added, removed, changed, and the strategy', async () => {
    const stateFile = join(temporaryFolder(), 'state.json');
    const urls = ['http://127.0.0.1:1', 'http://127.0.0.1:2', 'http://127.0.0.1:3'];
    const changes = { stateFile, backends: urls.map((url) => backend(url)) };
    const first = await running(changes);
    await first.call('POST', '/backends', { url: 'http://127.0.0.1:4', weight: 2 });
    await first.call('DELETE', '/backends/0');
    await first.call('PUT', '/backends/1/status', { alive: false });
    await first.call('POST', '/strategy', { strategy: 'least-conn' });
    first.fairlead.kill();
    await first.fairlead.exited;
    const second = await running(changes);
    expect((await second.call('GET', '/status')).json).toMatchObject({
      strategy: 'least-connections',
      backends: [
        { id: 1, state: 'disabled', source: 'config' },
        { id: 2, state: 'enabled', source: 'config' },
        { id: 3, weight: 2, source: 'api' },
      ],
    });
    const log = await waitFor(async () => {
      const text = await second.log();
      return text.includes('"event":"listening"') && text;
    });
    expect(log).toContain('"api_changes":4');
  });

  it('changes nothing that can not be saved', async () => {
    const folder = join(temporaryFolder(), 'gone');
    await mkdir(folder);
    const { call } = await running({
      stateFile: join(folder, 'state.json'),
      backends: [backend('http://127.0.0.1:1')],
    });
    await rm(folder, { recursive: true });
    for (const answer of [
      await call('POST', '/backends', { url: 'http://127.0.0.1:2' }),
      await call('DELETE', '/backends/0'),
      await call('PUT', '/strategy', { strategy: 'least-connections' }),
    ]) {
      expect(answer.json).toMatchObject({ status: 500, code: 'ERR_STATE_NOT_SAVED' });
    }
    expect((await call('GET', '/status')).json).toMatchObject({
      generation: 1,
      strategy: 'round-robin',
      total_backends: 1,
    });
    await mkdir(folder);
    expect((await call('POST', '/backends', { url: 'http://127.0.0.1:2' })).json).toMatchObject({
      id: 1,
    });
  });

  it('goes on without a damaged state file, keeps it, and says so', async () => {
    const stateFile = join(temporaryFolder(), 'state.json');
    await writeFile(stateFile, '{"version":1,');
    const { call, log } = await running({ stateFile, backends: [backend('http://127.0.0.1:1')] });
    expect((await call('GET', '/status')).json).toMatchObject({ total_backends: 1 });
    await waitFor(async () => (await log()).includes('state_file.damaged'));
  });

  it('goes on without a state file that can’t be read, keeps nothing, and does not call it damaged', async () => {
    const blocked = join(temporaryFolder(), 'file');
    await writeFile(blocked, '');
    const stateFile = join(blocked, 'state.json');
    const { call, log } = await running({ stateFile, backends: [backend('http://127.0.0.1:1')] });
    expect((await call('PATCH', '/backends/0', { weight: 3 })).json).toMatchObject({
      weight: 3,
      kept: false,
    });
    await waitFor(async () => (await log()).includes('state_file.not_readable'));
    expect(await log()).not.toMatch(/state_file\.(damaged|not_locked|not_writable)/);
  });
});
