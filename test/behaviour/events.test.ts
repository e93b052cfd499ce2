/** `GET /events`: every kind of event, in order, with who, what, before and after. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeCertificate } from '../support/certificate.ts';
import { type EventStream, eventStream } from '../support/event-stream.ts';
import { type LogLine, startFairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';
import { reset, startPool, status } from './named-pool.ts';
import { QUIET_HEALTH } from './stage.ts';

/** Both in one file. */
function fresh(): string {
  const files = makeCertificate();
  return readFileSync(files.cert_file, 'utf8') + readFileSync(files.key_file, 'utf8');
}

const isOfSignal = ({ event, by }: LogLine): boolean =>
  event === 'config.refused' && by === 'signal';

/** Without what comes and goes by itself. */
function told({ events }: EventStream): object[] {
  const common = new Set(['level', 'time', 'msg']);
  return events
    .filter(({ event }) => !/^backend\.(up|down)$|^config\.note$/.test(event))
    .map(({ event, data }) => {
      const fields = Object.entries(data).filter(([key]) => !common.has(key));
      expect(data['event']).toBe(event);
      return Object.fromEntries(fields);
    });
}

test('what an operator does is told with who it was, before and after, as in the log', async () => {
  const [first, second] = [await httpBackend(), await httpBackend()];
  const config = { ...QUIET_HEALTH, backends: [first.url], admin: { token: 'secret' } };
  const fairlead = await startFairlead({ config });
  const { adminUrl, cwd } = fairlead;
  const authorization = { Authorization: 'Bearer secret' };
  const stream = await eventStream(adminUrl, '/events', authorization);
  const call = async (method: string, path: string, body?: object): Promise<number> => {
    const headers = { ...authorization, 'User-Agent': 'deploy/1' };
    const text = body === undefined ? {} : { body: JSON.stringify(body) };
    return (await fetch(adminUrl + path, { method, headers, ...text })).status;
  };
  expect(await call('POST', '/backends', { url: second.url, weight: 3 })).toBe(201);
  expect(await call('PATCH', '/backends/1', { weight: 5 })).toBe(200);
  expect(await call('PUT', '/backends/1/status', { alive: false })).toBe(200);
  expect(await call('PUT', '/backends/1/status', { alive: true })).toBe(200);
  // Nothing is another than before.
  expect(await call('PATCH', '/backends/1', { weight: 5 })).toBe(200);
  expect(await call('PATCH', '/backends/1', { state: 'draining' })).toBe(200);
  await stream.waitFor('backend.drained');
  expect(await call('DELETE', '/backends/1')).toBe(200);
  expect(await call('POST', '/strategy', { strategy: 'least-connections' })).toBe(200);
  expect(await call('DELETE', '/overrides')).toBe(200);
  const file = join(cwd, 'fairlead.config.json');
  const routes = [
    { path: '/old', respond: { status: 404, body: 'x'.repeat(1000) } },
    { pool: 'default' },
  ];
  await writeFile(file, JSON.stringify({ ...config, strategy: 'random-two', routes }));
  expect(await call('POST', '/reload')).toBe(200);
  await writeFile(file, JSON.stringify({ ...config, prot: 1 }));
  expect(await call('POST', '/reload')).toBe(422);
  process.kill(fairlead.pid, 'SIGHUP');
  await stream.waitFor('config.refused', ({ by }) => by === 'signal');

  const actor = { address: '127.0.0.1', agent: 'deploy/1', token: 'admin.token' };
  const backend = { backend: second.url, id: 1 };
  const wished = { ...backend, weight: 5, backup: false };
  const lines = told(stream);
  expect(lines.slice(0, 9)).toEqual([
    { event: 'backend.added', ...backend, weight: 3, backup: false, actor },
    {
      event: 'backend.updated',
      ...wished,
      state: 'enabled',
      before: { weight: 3 },
      after: { weight: 5 },
      actor,
    },
    {
      event: 'backend.updated',
      ...wished,
      state: 'disabled',
      before: { state: 'enabled' },
      after: { state: 'disabled' },
      actor,
    },
    {
      event: 'backend.updated',
      ...wished,
      state: 'enabled',
      before: { state: 'disabled' },
      after: { state: 'enabled' },
      actor,
    },
    { event: 'backend.updated', ...wished, state: 'enabled', actor },
    {
      event: 'backend.updated',
      ...wished,
      state: 'draining',
      before: { state: 'enabled' },
      after: { state: 'draining' },
      actor,
    },
    { event: 'backend.drained', ...backend },
    {
      event: 'backend.removed',
      ...backend,
      before: { state: 'draining', weight: 5, backup: false },
      actor,
    },
    {
      event: 'strategy.changed',
      strategy: 'least-connections',
      before: { strategy: 'round-robin' },
      after: { strategy: 'least-connections' },
      actor,
    },
  ]);
  expect(lines.slice(9)).toMatchObject([
    { event: 'config.reset', dropped: [{ api: 'least-connections' }], actor },
    {
      event: 'config.reloaded',
      changes: expect.arrayContaining([
        { path: 'strategy', change: 'changed', before: 'round-robin', after: 'random-two' },
      ]) as unknown,
      actor,
    },
    {
      event: 'strategy.changed',
      by: 'reload',
      before: { strategy: 'round-robin' },
      after: { strategy: 'random-two' },
      actor,
    },
    // What was added is too long for a line of the log.
    {
      event: 'routes.changed',
      changes: [{ path: 'routes', change: 'added' }],
      actor,
    },
    { event: 'config.refused', problems: [{ path: 'prot' }], actor },
    { event: 'config.refused', problems: [{ path: 'prot' }], by: 'signal' },
  ]);
  expect(lines.find((line) => 'changes' in line && JSON.stringify(line).includes('xxx'))).toBe(
    undefined,
  );
  expect(stream.events.map(({ id }) => id)).toEqual(
    stream.events.map((_, index) => (stream.events[0]?.id ?? 0) + index),
  );
  // One source feeds both.
  await fairlead.waitForLog(isOfSignal);
  const upTo = (all: readonly LogLine[]): LogLine[] =>
    all.slice(0, all.findLastIndex(isOfSignal) + 1);
  const sent = upTo(stream.events.map(({ data }) => data));
  expect(upTo(fairlead.logs()).slice(-sent.length)).toEqual(sent);

  // It ends with the process, and does not hold that up; the next one knows nothing of what was before.
  const lastId = stream.lastId();
  expect(await fairlead.stop()).toBe(0);
  expect(await stream.ended).toBe(true);
  expect(stream.names()).toContain('stopping');
  await writeFile(file, JSON.stringify(config));
  const next = await startFairlead({ cwd, args: ['--config', file] });
  const again = await eventStream(next.adminUrl, '/events', {
    ...authorization,
    'Last-Event-ID': String(lastId),
  });
  await again.waitFor('listening');
  expect(again.events[0]).toMatchObject({
    event: 'gap',
    data: { reason: 'restart', since: lastId },
  });
  expect(again.events[1]?.data).toMatchObject({ event: 'config.file', file });
  expect(again.events[1]?.id).toBeGreaterThan(lastId);
});

test('backends that go down and come back, and the panic over it', async () => {
  const config = {
    health_check_method: 'http',
    health_check_frequency: '50ms',
    health_check_fall: 1,
    health_check_rise: 1,
  };
  const the = await startPool(4, config, { isAlone: true });
  const stream = await eventStream(the.fairlead.adminUrl);
  const sick = [1, 2, 3].map((index) => the.backend(index));
  for (const backend of sick) backend.isHealthy = false;
  for (const { url } of sick) {
    const { data } = await stream.waitFor('backend.down', (down) => down['backend'] === url);
    expect(data).toMatchObject({
      level: 'warn',
      reason: expect.stringContaining('500') as unknown,
    });
  }
  await stream.waitFor('pool.panic', (panic) => panic['eligible'] === 1);
  for (const backend of sick) backend.isHealthy = true;
  for (const { url } of sick) {
    await stream.waitFor('backend.up', (up) => up['backend'] === url);
  }
  await stream.waitFor('pool.panic_over');
});

test('an ejection, and a circuit breaker that opens', async () => {
  const config = {
    retries: false,
    panic_threshold_percent: false,
    outlier_detection: { consecutive_failures: 5, base_ejection: '5m' },
    circuit_breaker: { min_requests: 10, interval: '10s', open: '1h' },
  };
  const the = await startPool(4, config, { isAlone: true });
  const stream = await eventStream(the.fairlead.adminUrl);
  the.backend(0).answer = reset;
  const seen = async (event: string): Promise<void> => {
    await waitFor(async () => {
      await the.names(4);
      return stream.names().includes(event);
    });
  };
  await seen('backend.ejected');
  // Not together with the other: half of them would open the breaker of the pool.
  the.backend(1).answer = status(500);
  await seen('breaker.opened');
  expect((await stream.waitFor('backend.ejected')).data).toMatchObject({
    backend: the.backend(0).url,
    id: 0,
    ejection_ms: 300_000,
  });
  expect((await stream.waitFor('breaker.opened')).data).toMatchObject({ open_ms: 3_600_000 });
});

test('certificates that are taken up, and one that is not', async () => {
  const folder = temporaryFolder('events');
  const file = join(folder, 'a.pem');
  const write = (text: string): void => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  write(fresh());
  const fairlead = await onFreePorts(1, ([port = 0]) =>
    startFairlead({
      config: {
        listeners: [{ port, tls: { certificates: [{ cert_file: file, key_file: file }] } }],
      },
    }),
  );
  const stream = await eventStream(fairlead.adminUrl);
  write(fresh());
  expect((await stream.waitFor('certificates.changed')).data).toMatchObject({ files: [file] });
  write('nothing');
  expect((await stream.waitFor('certificate.refused')).data).toMatchObject({ level: 'error' });
});
