/** The examples that speak HTTP/2, as a browser and a client of gRPC meet them. */
import { readFileSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { call, endOf, message } from './behaviour/grpc-client.ts';
import { ask } from './behaviour/http2-stage.ts';
import { afterTest } from './support/after-test.ts';
import { runFairlead, startFairlead } from './support/fairlead.ts';
import { onFreePorts } from './support/free-ports.ts';
import { httpBackend } from './support/http-backend.ts';
import { type Http2Backend, http2Backend } from './support/http2-backend.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const examples = new URL('../examples/', import.meta.url);
const UNAVAILABLE = 14;
const CART = 'POST /shop.v1.Cart/Get';
/** One of a few goes to each. */
const MOST_CALLS = 100;

/** The text of an example, with the ports that it names exchanged. */
function exampleWith(name: string, ports: Readonly<Record<string, number>>): string {
  const text = readFileSync(new URL(name, examples), 'utf8');
  return text
    .replaceAll('http://localhost:', 'http://127.0.0.1:')
    .replaceAll(/\d{4,}/g, (port) => String(ports[port] ?? port));
}

function connect(url: string, options: http2.SecureClientSessionOptions = {}) {
  const session = http2.connect(url, options);
  session.on('error', () => {});
  afterTest(() => session.destroy());
  return session;
}

const page = () => httpBackend((_request, response) => void response.end('page'));
const server = () =>
  http2Backend((stream, fields) => {
    stream.respond({ ':status': 200 });
    stream.end(`api ${fields[':path']}`);
  });

test('examples/site-over-http2: a page and the API over one connection, to which http leads', async () => {
  const folder = temporaryFolder('site-over-http2');
  const env = { XDG_DATA_HOME: folder };
  const made = ['cert', 'dev', 'shop.localhost', '--out', join(folder, 'certs')];
  expect((await runFairlead(made, { env })).code).toBe(0);
  const [web1, web2, api1, api2] = [await page(), await page(), await server(), await server()];
  const [plain, secure] = await onFreePorts(3, async ([first = 0, second = 0, adminPort = 0]) => {
    const ports = { 8080: first, 8443: second, 3001: web1.port, 3002: web2.port };
    const all = { ...ports, 4001: api1.port, 4002: api2.port };
    const file = join(folder, 'fairlead.yaml');
    writeFileSync(file, exampleWith('site-over-http2/fairlead.yaml', all));
    const args = ['--config', file, '--admin-port', String(adminPort)];
    await startFairlead({ args, ports: { port: second, adminPort }, cwd: folder });
    return [first, second];
  });
  const ca = readFileSync(join(folder, 'fairlead', 'dev-authority', 'ca.crt'));
  const options = { ca, servername: 'shop.localhost' };
  const session = connect(`https://127.0.0.1:${secure}`, options);
  const of = { ':authority': `shop.localhost:${secure}` };
  expect(String((await ask(session, { ...of, ':path': '/' })).body)).toBe('page');
  expect(String((await ask(session, { ...of, ':path': '/api/cart' })).body)).toBe('api /api/cart');
  const moved = await fetch(`http://127.0.0.1:${plain}/cart`, { redirect: 'manual' });
  expect([moved.status, moved.headers.get('location')]).toEqual([
    308,
    `https://127.0.0.1:${secure}/cart`,
  ]);
});

/** Says in a head that is all of the answer who it is; with `isFull`, that it can't. */
const calls = (name: string, isFull = false): Promise<Http2Backend> =>
  http2Backend((stream, fields) => {
    const head = { ':status': 200, 'content-type': 'application/grpc', 'x-name': name };
    if (String(fields[':path']).startsWith('/grpc.health.v1.Health/')) {
      stream.respond(head, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, 1]));
      return;
    }
    stream.resume();
    stream.on('end', () => {
      const status = isFull ? String(UNAVAILABLE) : '0';
      stream.respond({ ...head, 'grpc-status': status }, { endStream: true });
    });
  });

test('examples/grpc.yaml: calls go to who takes them, and pages of the app may ask', async () => {
  const [full, other] = [await calls('full', true), await calls('other')];
  await onFreePorts(2, async ([port = 0, adminPort = 0]) => {
    const text = exampleWith('grpc.yaml', { 8080: port, 50051: full.port, 50052: other.port });
    const config = { ...(parse(text) as Record<string, unknown>), admin_port: adminPort };
    const fairlead = await startFairlead({ config, ports: { port, adminPort } });
    for (const { port: one } of [full, other]) {
      await fairlead.waitForLog(
        ({ event, msg }) => event === 'backend.up' && msg?.includes(String(one)) === true,
      );
    }
    const session = connect(`http://127.0.0.1:${port}`);
    for (let count = 0; count < MOST_CALLS && !full.requests.includes(CART); count++) {
      const stream = call(session, '/shop.v1.Cart/Get');
      stream.end(message('cart'));
      const ended = await endOf(stream);
      expect([ended.status, ended.fields['x-name']]).toEqual([0, 'other']);
    }
    expect(full.requests).toContain(CART);
    const preflight = await ask(session, {
      ':method': 'OPTIONS',
      ':path': '/shop.v1.Cart/Get',
      origin: 'https://app.example.com',
      'access-control-request-method': 'POST',
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example.com',
      'access-control-allow-headers': 'content-type, grpc-timeout, x-grpc-web, x-user-agent',
    });
  });
});
