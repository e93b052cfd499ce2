/**
 * A backend was removed with a drain of some seconds while an event stream was open there. At the deadline it was gone from
 * every list, and the stream went on: nobody could see it, nor end it.
 */
import { writeFile } from 'node:fs/promises';
import http, { type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { type Fairlead, runFairlead, startFairlead } from '../support/fairlead.ts';
import { type HttpBackend, httpBackend } from '../support/http-backend.ts';
import { SOON_MS, waitFor, within } from '../support/wait-for.ts';

interface Stream {
  readonly bytes: () => number;
  /** `end`, or the code of the error that broke it off. */
  readonly over: Promise<string>;
}

/** Sends an event every 20 ms at `/events`, never answers at `/stuck`, and is quick everywhere else. */
function eventBackend(): Promise<HttpBackend> {
  return httpBackend((request, response) => {
    if (request.url === '/stuck') return;
    if (request.url !== '/events') {
      response.end('ok');
      return;
    }
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    const timer = setInterval(() => response.write('data: x\n\n'), 20);
    response.on('close', () => clearInterval(timer));
  });
}

async function openStream({ port }: Fairlead): Promise<Stream> {
  let bytes = 0;
  const request = http.get({ port, path: '/events', agent: false });
  afterTest(() => {
    request.destroy();
  });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.on('response', resolve).on('error', reject);
  });
  response.on('data', (data: Buffer) => {
    bytes += data.length;
  });
  const over = new Promise<string>((resolve) => {
    response.on('end', () => resolve('end'));
    response.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
  return { bytes: () => bytes, over };
}

async function call({ adminUrl }: Fairlead, method: string, path: string, body?: object) {
  const answer = await fetch(adminUrl + path, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
}

async function leaving(fairlead: Fairlead): Promise<unknown[]> {
  return (await call(fairlead, 'GET', '/status')).json['leaving'] as unknown[];
}

async function goesOn({ bytes }: Stream): Promise<void> {
  const before = bytes();
  await waitFor(() => bytes() > before + 50);
}

describe('a backend that is removed while a stream is open there', () => {
  it('is shown until the stream is over', async () => {
    const { url, close } = await eventBackend();
    const other = await httpBackend();
    const fairlead = await startFairlead({ args: [url, other.url] });
    await call(fairlead, 'PUT', '/backends/1/status', { alive: false });
    const stream = await openStream(fairlead);
    expect((await call(fairlead, 'DELETE', '/backends/0?drain=300ms')).status).toBe(202);
    await fairlead.waitForLog(({ event }) => event === 'backend.removed');
    expect((await call(fairlead, 'GET', '/backends/0')).status).toBe(404);
    expect(await leaving(fairlead)).toMatchObject([{ id: 0, url, in_flight: 1, tunnels: 0 }]);
    await goesOn(stream);
    const status = await runFairlead(['status', '--admin', fairlead.adminUrl]);
    expect(status.stdout).toContain(`${url} (backend 0) is removed, with 1 in flight`);
    await close();
    await within(stream.over, SOON_MS, 'the end of the stream');
    await waitFor(async () => (await leaving(fairlead)).length === 0);
  });

  it('is shown when a reload has removed it', async () => {
    const { url } = await eventBackend();
    const other = await httpBackend();
    const fairlead = await startFairlead({ config: { backends: [{ url, weight: 100 }] } });
    await openStream(fairlead);
    const config = JSON.stringify({ backends: [other.url] });
    await writeFile(join(fairlead.cwd, 'fairlead.config.json'), config);
    expect((await call(fairlead, 'POST', '/reload')).status).toBe(200);
    expect(await leaving(fairlead)).toMatchObject([{ id: 0, url, in_flight: 1 }]);
  });

  it('is rid of it at the deadline where that is asked for, and blames nobody', async () => {
    const { url } = await eventBackend();
    const fairlead = await startFairlead({ args: [url] });
    const stream = await openStream(fairlead);
    const { code } = await runFairlead(
      ['remove', '0', '--drain', '300ms', '--cut', '--admin', fairlead.adminUrl],
      {},
    );
    expect(code).toBe(0);
    // Not the end of a stream that is complete.
    expect(await within(stream.over, SOON_MS, 'the end of the stream')).toBe('ECONNRESET');
    const cut = await fairlead.waitForLog(({ event }) => event === 'backend.requests_cut');
    expect(cut).toMatchObject({ id: 0, count: 1 });
    await waitFor(async () => (await leaving(fairlead)).length === 0);
    const line = await waitFor(() => fairlead.accessLines()[0]);
    expect(line).toMatchObject({ status: 200, error: 'ERR_CUT_BY_DRAIN' });
    expect(fairlead.logs().filter(({ event }) => event === 'backend.ejected')).toEqual([]);
  });

  it('is rid of it at once without a drain, and a request that may be repeated goes elsewhere', async () => {
    const { url, requests } = await eventBackend();
    const other = await httpBackend();
    const fairlead = await startFairlead({ args: [url, other.url] });
    await call(fairlead, 'PUT', '/backends/1/status', { alive: false });
    const stream = await openStream(fairlead);
    const stuck = fetch(`${fairlead.url}/stuck`);
    const posted = fetch(`${fairlead.url}/stuck`, { method: 'POST', body: 'x' });
    await waitFor(() => requests.filter((request) => request.endsWith('/stuck')).length === 2);
    await call(fairlead, 'PUT', '/backends/1/status', { alive: true });
    expect((await call(fairlead, 'DELETE', '/backends/0?cut=true')).status).toBe(200);
    expect(await within(stream.over, SOON_MS, 'the end of the stream')).toBe('ECONNRESET');
    expect(await (await stuck).text()).toBe('ok');
    const refused = await posted;
    expect(refused.status).toBe(503);
    expect(await refused.text()).toContain('ERR_CUT_BY_DRAIN');
  });

  it('a drain with --cut --wait returns at the deadline, and says what was cut', async () => {
    const { url } = await eventBackend();
    const fairlead = await startFairlead({ args: [url] });
    const stream = await openStream(fairlead);
    const drain = ['drain', '0', '--deadline', '300ms', '--cut', '--wait'];
    const { code, stderr } = await runFairlead([...drain, '--admin', fairlead.adminUrl]);
    expect(stderr).toContain('is drained, but the deadline cut 1 request\n');
    expect(code).toBe(1);
    await within(stream.over, SOON_MS, 'the end of the stream');
    expect((await call(fairlead, 'GET', '/backends/0')).json).toMatchObject({
      drained: true,
      draining: { cut: 0, cut_requests: 1 },
    });
  });

  it('refuses a cut that is none, or that goes with nothing', async () => {
    const fairlead = await startFairlead({ args: ['http://127.0.0.1:1'] });
    expect((await call(fairlead, 'DELETE', '/backends/0?cut=yes')).status).toBe(422);
    const alone = await call(fairlead, 'PATCH', '/backends/0?cut=true', { weight: 2 });
    expect(alone.status).toBe(422);
    expect((await call(fairlead, 'GET', '/backends/0')).json).toMatchObject({ weight: 1 });
  });
});
