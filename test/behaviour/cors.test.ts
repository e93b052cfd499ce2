/** `cors` of a route: preflights, and what other answers say to pages of other origins. gRPC-Web, which needs it, passes. */
import { beforeAll, expect, test } from 'vitest';
import type { Fairlead } from '../support/fairlead.ts';
import { type Http2Backend, http2Backend } from '../support/http2-backend.ts';
import { cheapHash } from '../support/password-hash.ts';
import { type RawResponse, rawClient } from '../support/raw-client.ts';
import { get, startProxy } from './stage.ts';

const APP = 'https://app.test';
/** A message, and the trailers behind it as gRPC-Web has them: in the body. */
const WEB_BODY = Buffer.concat([
  Buffer.from([0, 0, 0, 0, 2, 0x08, 1]),
  Buffer.from([0x80, 0, 0, 0, 15]),
  Buffer.from('grpc-status:0\r\n'),
]);

let fairlead: Fairlead;
let backend: Http2Backend;

beforeAll(async () => {
  backend = await http2Backend((stream, fields) => {
    const type = fields['content-type'] ?? 'text/plain';
    stream.respond({
      ':status': 200,
      'content-type': type,
      vary: 'Accept',
      'access-control-allow-origin': 'https://backend.test',
      'access-control-max-age': '1',
      'x-asked': `${fields.origin} ${fields['x-grpc-web']}`,
    });
    stream.end(type.startsWith('application/grpc-web') ? WEB_BODY : 'ok');
  });
  const listed = {
    origins: [APP, 'https://*.wild.test'],
    methods: ['GET', 'PUT'],
    headers: ['content-type', 'x-grpc-web'],
    exposed: ['grpc-status'],
    credentials: true,
  };
  fairlead = await startProxy([backend.url], {
    protocol: 'h2',
    routes: [
      { path: '/listed', pool: 'default', cors: listed },
      { path: '/any', pool: 'default', cors: { origins: ['*'], headers: ['*'], max_age: false } },
      {
        path: '/login',
        pool: 'default',
        cors: listed,
        basic_auth: { users: { ann: cheapHash('secret') } },
      },
      { path: '/down', maintenance: true, cors: listed },
      { path: '/denied', pool: 'default', cors: listed, deny: ['127.0.0.0/8'] },
      { path: '/fixed', respond: { body: 'fixed' }, cors: listed },
    ],
  });
});

async function ask(request: string): Promise<RawResponse> {
  const client = await rawClient(fairlead.port);
  await client.write(request);
  const response = await client.readResponse();
  client.end();
  return response;
}

function preflight(path: string, origin: string, more: readonly string[] = []): string {
  const fields = [`Origin: ${origin}`, 'Access-Control-Request-Method: PUT', ...more];
  return get(path, fields, 'OPTIONS');
}

function said({ fields }: RawResponse): Record<string, readonly string[]> {
  return Object.fromEntries(
    [...fields].filter(([name]) => name.startsWith('access-control-') || name === 'vary'),
  );
}

const ALLOWED = {
  vary: ['Origin, Access-Control-Request-Method, Access-Control-Request-Headers'],
  'access-control-allow-origin': [APP],
  'access-control-allow-credentials': ['true'],
  'access-control-allow-methods': ['GET, PUT'],
  'access-control-allow-headers': ['content-type, x-grpc-web'],
  'access-control-max-age': ['600'],
};

test.each(['/listed', '/login', '/down', '/fixed'])(
  'a preflight of %s is answered without a backend, and without a login',
  async (path) => {
    const before = backend.requests.length;
    const response = await ask(preflight(path, APP));
    expect(response.status).toBe(204);
    expect(said(response)).toMatchObject(ALLOWED);
    expect(response.fields.get('content-length')).toBeUndefined();
    expect(backend.requests.length).toBe(before);
  },
);

test.each([
  ['https://a.wild.test', true],
  ['https://a.b.wild.test', true],
  ['https://wild.test', false],
  ['https://.wild.test', false],
  ['https://evil.test/.wild.test', false],
  ['https://evil.test:1#.wild.test', false],
  ['http://a.wild.test', false],
  ['https://a.wild.test:8443', false],
  ['https://app.test.evil.test', false],
  ['HTTPS://APP.TEST', false],
  ['null', false],
])('the origin %s may ask: %j', async (origin, may) => {
  const response = await ask(preflight('/listed', origin));
  expect(response.status).toBe(204);
  expect(said(response)['access-control-allow-origin']).toEqual(may ? [origin] : undefined);
});

test('any origin, and any field that is asked for', async () => {
  const asked = ['Access-Control-Request-Headers: x-one,x-two'];
  expect(said(await ask(preflight('/any', 'https://x.test', asked)))).toMatchObject({
    'access-control-allow-origin': ['*'],
    'access-control-allow-headers': ['x-one,x-two'],
    'access-control-allow-methods': ['GET, HEAD, POST'],
  });
  const answer = await ask(get('/any', ['Origin: https://x.test']));
  expect(said(answer)).toEqual({ vary: ['Accept'], 'access-control-allow-origin': ['*'] });
});

test('an OPTIONS that is no preflight goes to the backend', async () => {
  for (const fields of [['Origin: https://app.test'], ['Access-Control-Request-Method: PUT']]) {
    const response = await ask(get('/listed', fields, 'OPTIONS'));
    expect([response.status, String(response.body)]).toEqual([200, 'ok']);
  }
});

test('other answers say it in place of what the backend says', async () => {
  const response = await ask(get('/listed', [`Origin: ${APP}`]));
  expect(response.fields.get('x-asked')?.[0]).toContain(APP);
  expect(said(response)).toEqual({
    vary: ['Accept', 'Origin'],
    'access-control-allow-origin': [APP],
    'access-control-allow-credentials': ['true'],
    'access-control-expose-headers': ['grpc-status'],
  });
});

test.each([[['Origin: https://other.test']], [[]]])('to others nothing is said: %j', async (of) => {
  expect(said(await ask(get('/listed', of)))).toEqual({ vary: ['Accept', 'Origin'] });
});

test.each([
  ['/login', 401],
  ['/down', 503],
  ['/denied', 403],
  ['/fixed', 200],
])('an answer of ours to %s can be read by the page', async (path, status) => {
  const response = await ask(get(path, [`Origin: ${APP}`]));
  expect(response.status).toBe(status);
  expect(said(response)['access-control-allow-origin']).toEqual([APP]);
});

test('who is refused by its address gets no preflight', async () => {
  expect((await ask(preflight('/denied', APP))).status).toBe(403);
});

test('gRPC-Web passes as it is, over HTTP/1.1', async () => {
  const client = await rawClient(fairlead.port);
  const type = 'application/grpc-web+proto';
  const head = get(
    '/listed',
    [`Origin: ${APP}`, `Content-Type: ${type}`, 'X-Grpc-Web: 1', 'Content-Length: 5'],
    'POST',
  );
  await client.write(`${head}\0\0\0\0\0`);
  const response = await client.readResponse();
  client.end();
  expect(response.status).toBe(200);
  expect(response.fields.get('content-type')).toEqual([type]);
  expect(response.fields.get('x-asked')).toEqual([`${APP} 1`]);
  expect(response.body.equals(WEB_BODY)).toBe(true);
});
