/** Passive health as an operator meets it: through the admin API and the metrics of a running control plane. */
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { httpBackend } from '../support/http-backend.ts';
import { waitFor } from '../support/wait-for.ts';
import { backend } from './fixtures.ts';
import { type Running, running } from './running.ts';

const outlier = {
  consecutiveFailures: 5,
  consecutive5xx: 0,
  failurePercent: 0,
  minRequests: 20,
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionMs: 300_000,
  maxEjectionPercent: 50,
  slowCallMs: 0,
};

/** Tells the stub in the place of the data thread. */
function tell(the: Running, text: string): void {
  const socket = connect(the.fairlead.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.on('data', () => socket.destroy());
  socket.end(`${text}\n`);
}

async function backends(the: Running): Promise<readonly Readonly<Record<string, unknown>>[]> {
  return (await the.call('GET', '/backends')).json as readonly Record<string, unknown>[];
}

describe('passive health', () => {
  it('ejects what a data thread reports, and shows for how long and why', async () => {
    const [first, second] = [await httpBackend(), await httpBackend()];
    const the = await running({ backends: [backend(first.url), backend(second.url)], outlier });
    tell(the, 'faults 0');
    await waitFor(async () => (await backends(the))[0]?.['alive'] === false);
    const [ejected, other] = await backends(the);
    expect(ejected).toMatchObject({
      alive: false,
      eligible: false,
      health: 'healthy',
      effective_weight: 0,
    });
    expect(ejected?.['why']).toMatch(
      /^ejected for (30|29) s more, or until a check passes: 5 failures in a row, the last: reset$/,
    );
    const outMs = Date.parse(String(ejected?.['ejected_until'])) - Date.now();
    expect(outMs > 20_000 && outMs <= 30_100).toBe(true);
    expect(other).toMatchObject({ alive: true, eligible: true, ejected_until: null });
    expect((await the.call('GET', '/status')).json).toMatchObject({
      active_backends: 1,
      panic: false,
      breaker: 'closed',
      queued: 0,
    });
    const metrics = (await the.call('GET', '/metrics')).text;
    expect(metrics).toContain(
      `fairlead_ejections_total{pool="default",backend="${first.url}",reason="consecutive_failures"} 1\n`,
    );
    expect(metrics).toContain(
      `fairlead_backend_ejected{pool="default",backend="${first.url}"} 1\n`,
    );
    // The data threads know.
    await waitFor(async () => (await the.log()).includes('\\"picks\\":[{\\"id\\":1'));
  });

  it('says for every backend why it is or is not eligible', async () => {
    const good = await httpBackend();
    const sick = await httpBackend((_request, response) => response.writeHead(500).end());
    const the = await running({
      backends: [
        backend(good.url),
        { ...backend(sick.url), isBackup: false },
        backend((await httpBackend()).url, 0),
        { ...backend((await httpBackend()).url), isBackup: true },
      ],
    });
    const why = (await backends(the)).map((one) => one['why']);
    expect(why[0]).toMatch(/^healthy, last check [01] s ago$/);
    expect(why[1]).toMatch(/^unhealthy, last check [01] s ago: GET .*: 500 after \d+ ms$/);
    expect(why[2]).toBe('weight 0: no new clients, only the sessions that it has');
    expect(why[3]).toBe('a backup: 1 primary is eligible');
    expect((await backends(the)).map((one) => [one['eligible'], one['backup']])).toEqual([
      [true, false],
      [false, false],
      [false, false],
      [false, true],
    ]);
    await the.call('PATCH', '/backends/0', { state: 'disabled' });
    expect((await backends(the)).map((one) => one['why'])).toEqual([
      'disabled by an operator',
      expect.stringMatching(/^unhealthy, last check .* after \d+ ms$/),
      why[2],
      expect.stringMatching(/^healthy, .*; a backup in use: no primary is eligible$/),
    ]);
  });

  it('panics loudly when too few are eligible, leaving out who can not be reached', async () => {
    const sick = await httpBackend((_request, response) => response.writeHead(500).end());
    const the = await running({
      backends: [
        backend((await httpBackend()).url),
        backend(sick.url),
        backend('http://127.0.0.1:1'),
        backend((await httpBackend((_request, response) => response.writeHead(500).end())).url),
      ],
      panicThresholdPercent: 50,
    });
    const all = await backends(the);
    expect((await the.call('GET', '/status')).json).toMatchObject({ panic: true });

    expect(all.map((one) => [one['alive'], one['eligible']])).toEqual([
      [true, true],
      [false, true],
      [false, false],
      [false, true],
    ]);
    expect(all[1]?.['why']).toMatch(/used all the same: panic, 1 of 4 backends is eligible$/);
    expect((await the.call('GET', '/metrics')).text).toContain(
      'fairlead_pool_panic{pool="default"} 1\n',
    );
    await waitFor(async () => (await the.log()).includes('"event":"pool.panic"'));
  });

  it('takes weight 0 and backups by the API, and shows where they come from', async () => {
    const [first, second] = [await httpBackend(), await httpBackend()];
    const the = await running({ backends: [backend(first.url)] });
    const added = await the.call('POST', '/backends', { url: second.url, backup: true });
    expect(added.json).toMatchObject({ backup: true, alive: true, eligible: false });
    expect((await the.call('PATCH', '/backends/0', { weight: 0 })).json).toMatchObject({
      weight: 0,
      eligible: false,
      alive: true,
    });
    expect((await the.call('GET', '/backends/1')).json).toMatchObject({ eligible: true });
    expect((await the.call('GET', '/config')).json).toMatchObject({
      config: {
        backends: [
          { url: first.url, weight: 0 },
          { url: second.url, weight: 1, backup: true },
        ],
      },
      origins: { 'backends.0.weight': 'api', 'backends.1.backup': 'api' },
    });
    expect((await the.call('PATCH', '/backends/1', { backup: false })).json).toMatchObject({
      backup: false,
    });
    expect((await the.call('PATCH', '/backends/1', { backup: 1 })).json).toMatchObject({
      code: 'ERR_INVALID_VALUE',
    });
  });
});
