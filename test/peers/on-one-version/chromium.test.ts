/** A browser: pages, two hundred resources at once and WebSockets, over HTTP/2 and over HTTP/1.1. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BrowserContext, Page } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { afterTest } from '../../support/after-test.ts';
import type { LogLine } from '../../support/fairlead.ts';
import { httpBackend } from '../../support/http-backend.ts';
import { hasTool } from '../../support/tools.ts';
import { LONG_MS, waitFor } from '../../support/wait-for.ts';
import { type Front, startFront, untilNothingIsLeft } from '../front.ts';
import { evaluateOnSteadyNetwork, launchBrowser } from './browser.ts';

const MIB = 1024 * 1024;
const RESOURCES = 200;
const SCRIPT = readFileSync(new URL('site/page.js', import.meta.url));

/** Every other one says how long it is; some are longer than a window of HTTP/2. */
function resource(index: number): Buffer {
  const length = index % 25 === 0 ? 300_000 : (index * index) % 40_000;
  return Buffer.alloc(length, `resource ${index} `);
}

function sha(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A site: a page, its script, and what that asks for. */
function serve(request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://site');
  if (pathname === '/site/page') {
    response.setHeader('Content-Type', 'text/html');
    response.end('<!doctype html><title>A site</title><script src="/site/script"></script>');
  } else if (pathname === '/site/script') {
    response.setHeader('Content-Type', 'text/javascript');
    response.end(SCRIPT);
  } else if (pathname === '/site/resource') {
    const index = Number(searchParams.get('index'));
    const body = resource(index);
    if (index % 2 === 0) response.setHeader('Content-Length', body.length);
    response.write(body.subarray(0, 100));
    response.end(body.subarray(100));
  } else if (pathname === '/site/upload') {
    const hash = createHash('sha256');
    request.on('data', (part: Buffer) => hash.update(part));
    request.on('end', () => response.end(`${request.headers.cookie} ${hash.digest('hex')}`));
  } else {
    response.statusCode = 404;
    response.end();
  }
}

let front: Front;
let context: BrowserContext;

function logged(path: string): Promise<LogLine> {
  return waitFor(
    () => front.fairlead.accessLines().find((line) => line['path'] === path),
    LONG_MS,
    `the line of ${path}`,
  );
}

describe.runIf(hasTool('chromium') && hasTool('openssl'))('Chromium', () => {
  beforeAll(async () => {
    const backend = await httpBackend(serve);
    const sockets = new WebSocketServer({ server: backend.server, path: '/site/socket' });
    afterTest(() => void sockets.close());
    sockets.on('connection', (socket) => {
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    });
    const [started, browser] = await Promise.all([
      startFront({ site: { backends: [backend.url] } }),
      launchBrowser(),
    ]);
    front = started;
    context = await browser.newContext({ ignoreHTTPSErrors: true });
  });

  describe.each([
    ['HTTP/2', 'h2', () => `localhost:${front.tls}`],
    ['HTTP/1.1', 'http/1.1', () => `localhost:${front.tls1}`],
  ])('%s', (_name, protocol, host) => {
    let page: Page;
    beforeAll(async () => {
      page = await context.newPage();
    });

    test('a page and its script', async () => {
      const answer = await page.goto(`https://${host()}/site/page`);
      expect([answer?.status(), await page.title()]).toEqual([200, 'A site']);
      expect(await page.evaluate('site.protocols()')).toEqual([protocol, protocol]);
    });

    test(`${RESOURCES} resources at once`, async () => {
      const indices = Array.from({ length: RESOURCES }, (_, index) => index);
      expect(await evaluateOnSteadyNetwork(page, `site.loadAll(${RESOURCES})`)).toEqual(
        indices.map((index) => `200 ${sha(resource(index))}`),
      );
      expect(await page.evaluate('site.protocols()')).toEqual([protocol, protocol]);
    });

    test('an upload of 1 MiB with its cookies', async () => {
      expect(await page.evaluate(`site.upload(${MIB})`)).toBe(
        `a=1; b=2 ${sha(Buffer.alloc(MIB, 7))}`,
      );
    });

    test('a WebSocket', async () => {
      const path = `/site/socket?over=${protocol}`;
      expect(await page.evaluate(`site.talk('wss://${host()}${path}', 300_000)`)).toBe(
        'hello,300000 true,bye 1000',
      );
      const line = await logged(path);
      // To its backend it is an upgrade of HTTP/1.1 in either case.
      expect([line['status'], line['protocol'] === 'HTTP/2.0']).toEqual([101, protocol === 'h2']);
    });
  });

  test('at the end nothing is left, and the browser has broken no rule', async () => {
    await context.close();
    await context.browser()?.close();
    expect(await untilNothingIsLeft(front)).toEqual([]);
  });
});
