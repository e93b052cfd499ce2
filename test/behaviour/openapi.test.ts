/** The OpenAPI document and the admin API that serves it, each held against the other. */
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { makeCertificate } from '../support/certificate.ts';
import { startFairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';

type Json = Readonly<Record<string, unknown>>;

interface Response {
  readonly headers?: Json;
  readonly content?: Json;
}

interface Operation {
  readonly parameters?: readonly { readonly name: string }[];
  readonly requestBody?: { readonly content: Json };
  readonly responses: Readonly<Record<string, Response>>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Json };
}

interface Call {
  readonly method: string;
  /** As in the document. */
  readonly path: string;
  readonly to: string;
  readonly body?: unknown;
}

const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options'];
const STALE = { 'If-Match': '"999"' };

let adminUrl = '';
let api: Document;
/** The same, with nothing in an answer but what it names. */
let ajv: Ajv2020;
const validators = new Map<string, ValidateFunction>();

beforeAll(async () => {
  const fairlead = await onFreePorts(1, ([port = 0]) =>
    startFairlead({
      config: {
        backends: ['http://127.0.0.1:1', 'http://127.0.0.1:2'],
        listeners: [{ port, tls: { certificates: [makeCertificate()] } }],
        pools: { web: { backends: ['http://127.0.0.1:3', 'http://127.0.0.1:4'] } },
        routes: [{ path: '/web/', pool: 'web' }],
      },
    }),
  );
  ({ adminUrl } = fairlead);
  await fetch(fairlead.url, { headers: { 'X-Request-Id': 'seen' } });
  api = (await (await fetch(`${adminUrl}/openapi.json`)).json()) as Document;
  ajv = new Ajv2020({ strict: false, formats: { 'date-time': /^\d{4}-\d\d-\d\dT[\d:.]+Z$/ } });
  ajv.addSchema(closed(api) as Json, 'api');
});

function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(Object.entries(value).map(([key, one]) => [key, closed(one)]));
  const isObject = copy['type'] === 'object' && copy['properties'] !== undefined;
  return isObject ? { additionalProperties: false, ...copy } : copy;
}

function operationsOf(): { method: string; path: string; operation: Operation }[] {
  return Object.entries(api.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method] !== undefined).map((method) => ({
      method: method.toUpperCase(),
      path,
      operation: item[method] as Operation,
    })),
  );
}

function schemaAt(...keys: string[]): string {
  const pointer = keys.map((key) => key.replaceAll('~', '~0').replaceAll('/', '~1')).join('/');
  return `api#/${pointer.split('/').map(encodeURIComponent).join('/')}`;
}

function validatorOf(schema: string): ValidateFunction {
  const known = validators.get(schema) ?? ajv.compile({ $ref: schema });
  validators.set(schema, known);
  return known;
}

/** Calls, and holds what comes against what the document says. @returns the status */
async function checked(
  { method, path, to, body }: Call,
  headers: Readonly<Record<string, string>> = {},
): Promise<number> {
  const what = `${method} ${to}`;
  const operation = api.paths[path]?.[method.toLowerCase()];
  expect([what, operation]).not.toEqual([what, undefined]);
  const stop = new AbortController();
  const response = await fetch(adminUrl + to, {
    method,
    headers,
    signal: stop.signal,
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const { status } = response;
  const declared = operation?.responses[status];
  expect([what, Object.keys(operation?.responses ?? {})]).toEqual([
    what,
    expect.arrayContaining([String(status)]),
  ]);
  for (const name of Object.keys(declared?.headers ?? {})) {
    expect([what, status, name, response.headers.has(name)]).toEqual([what, status, name, true]);
  }
  const [type = '', ...others] = Object.keys(declared?.content ?? {});
  const isPage = path === '/' && status === 200 && method === 'GET';
  const came = method === 'HEAD' ? '' : response.headers.get('content-type');
  expect([what, others, came]).toEqual([what, isPage ? ['text/html; charset=utf-8'] : [], type]);
  if (type === 'text/event-stream') {
    stop.abort();
    return status;
  }
  const text = await response.text();
  const value: unknown = type.includes('json') ? JSON.parse(text) : text;
  const key = method.toLowerCase();
  const schema = schemaAt(
    'paths',
    path,
    key,
    'responses',
    String(status),
    'content',
    type,
    'schema',
  );
  const isEmpty = method === 'HEAD' && text === '';
  const validate = isEmpty ? undefined : validatorOf(schema);
  expect([what, text, validate?.(value), validate?.errors ?? []]).toEqual([
    what,
    text,
    isEmpty ? undefined : true,
    [],
  ]);
  return status;
}

/** Of one pool; what removes comes last. */
function callsOfPool(prefix: string, first: number): Call[] {
  const at = prefix === '' ? '' : '/pools/web';
  const url = `http://127.0.0.1:${50 + first}`;
  const call = (method: string, path: string, body?: unknown, to = path): Call => ({
    method,
    path: prefix + path,
    to: at + to.replace('{id}', String(first)),
    body,
  });
  return [
    call('GET', '/status'),
    call('POST', '/backends', { url, weight: 2 }),
    call('GET', '/backends'),
    call('GET', '/backends/{id}'),
    call('PUT', '/backends/{id}/status', { alive: false }),
    call(
      'PATCH',
      '/backends/{id}',
      { weight: 3, state: 'draining' },
      '/backends/{id}?drain=1m&persist=false',
    ),
    call('GET', '/backends/{id}'),
    call('GET', '/backends'),
    call('PUT', '/strategy', { strategy: 'ip-hash' }, '/strategy?persist=false'),
    call('GET', '/strategy'),
    call('POST', '/strategy', { strategy: 'least-conn' }),
    call('GET', '/status'),
    call('DELETE', '/backends', { url }),
    call('DELETE', '/backends/{id}', undefined, '/backends/{id}?drain=1h&sessions=move'),
    // The other one: nothing is in flight at the first, which may be gone by now.
    call('DELETE', '/backends/{id}', undefined, `/backends/${first + 1}`),
  ];
}

const CALLS: readonly Call[] = [
  ...[
    '/',
    '/totals',
    '/whoami',
    '/pools',
    '/routes',
    '/listeners',
    '/certificates',
    '/events',
    '/metrics',
    '/config',
    '/config:changes',
    '/schema.json',
    '/openapi.json',
  ].map((path) => ({ method: 'GET', path, to: path })),
  { method: 'GET', path: '/cluster', to: '/cluster' },
  { method: 'GET', path: '/cluster/health', to: '/cluster/health' },
  { method: 'GET', path: '/cluster/writes/{id}', to: '/cluster/writes/none' },
  { method: 'GET', path: '/livez', to: '/livez' },
  { method: 'GET', path: '/readyz', to: '/readyz' },
  { method: 'GET', path: '/pools/{pool}', to: '/pools/web' },
  { method: 'GET', path: '/pools/{pool}', to: '/pools/none' },
  { method: 'GET', path: '/events', to: '/events?since=monday' },
  { method: 'GET', path: '/events', to: '/events?type=backend.*,killed&pool=web' },
  { method: 'GET', path: '/events', to: '/events?type=backend' },
  { method: 'GET', path: '/events', to: '/events?pool=nobody' },
  {
    method: 'POST',
    path: '/config:validate',
    to: '/config:validate',
    body: '{"backends": [":1"]}',
  },
  { method: 'POST', path: '/config:validate', to: '/config:validate', body: 'prot: 1' },
  { method: 'POST', path: '/explain', to: '/explain', body: { host: 'a', path: '/web/?b' } },
  { method: 'POST', path: '/explain', to: '/explain', body: { host: 'a b', headers: {} } },
  { method: 'POST', path: '/explain', to: '/explain', body: { host: 7 } },
  { method: 'GET', path: '/requests', to: '/requests' },
  { method: 'GET', path: '/requests/{id}', to: '/requests/none' },
  { method: 'GET', path: '/requests/{id}', to: '/requests/seen' },
  ...callsOfPool('', 0),
  ...callsOfPool('/pools/{pool}', 2),
  { method: 'GET', path: '/overrides', to: '/overrides' },
  { method: 'POST', path: '/reload', to: '/reload' },
  { method: 'DELETE', path: '/overrides', to: '/overrides?value=strategy' },
  { method: 'GET', path: '/backends/{id}', to: '/backends/0' },
  { method: 'GET', path: '/backends/{id}', to: '/backends/%zz' },
  { method: 'DELETE', path: '/backends/{id}', to: '/backends/1?drian=1s' },
  // From here on it is another process.
  { method: 'POST', path: '/upgrade', to: '/upgrade' },
];

describe('the OpenAPI document', () => {
  it('is one', async () => {
    expect(api.openapi).toBe('3.1.1');
    const result = await new Validator().validate(
      JSON.parse(JSON.stringify(api)) as Record<string, unknown>,
    );
    expect(result).toMatchObject({ valid: true });
    const ids = operationsOf().map(
      ({ operation }) => (operation as { operationId?: string }).operationId,
    );
    expect(ids.length).toBe(new Set(ids).size);
  });

  it('has the calls that there are, and no others', async () => {
    const { calls } = (await (await fetch(`${adminUrl}/`)).json()) as {
      calls: { path: string; methods: string[] }[];
    };
    const listed = [
      'GET /',
      ...calls.flatMap(({ path, methods }) => methods.map((method) => `${method} ${path}`)),
    ];
    const documented = operationsOf()
      .filter(({ method, path }) => method !== 'HEAD' && !path.startsWith('/pools/{pool}/'))
      .map(({ method, path }) => `${method} ${path}`);
    expect(documented.toSorted()).toEqual(listed.toSorted());
    for (const [path, item] of Object.entries(api.paths)) {
      const to = path
        .replace('{pool}', 'web')
        .replace('{id}', '0')
        .replace(/\{\w+\}/, 'x');
      const allowed = METHODS.filter((method) => item[method] !== undefined);
      for (const method of METHODS.filter((one) => !allowed.includes(one))) {
        const { status, headers } = await fetch(adminUrl + to, { method: method.toUpperCase() });
        const allow = (headers.get('allow') ?? '').toLowerCase().split(', ').toSorted();
        expect([method, path, status, allow]).toEqual([method, path, 405, allowed.toSorted()]);
      }
    }
    expect((await fetch(`${adminUrl}/nothing`)).status).toBe(404);
    expect((await fetch(`${adminUrl}/pools/web/reload`, { method: 'POST' })).status).toBe(404);
  });

  it('says of every change that a stale If-Match refuses it', async () => {
    const changes = CALLS.filter(({ method, path }) =>
      api.paths[path]?.[method.toLowerCase()]?.parameters?.some(({ name }) => name === 'If-Match'),
    );
    const seen = new Set<string>();
    for (const one of changes) {
      const url = one.to.startsWith('/pools') ? 'http://127.0.0.1:3' : 'http://127.0.0.1:1';
      const isOfUrl = one.method === 'DELETE' && one.path.endsWith('/backends');
      const status = await checked(isOfUrl ? { ...one, body: { url } } : one, STALE);
      if (status === 412) seen.add(`${one.method} ${one.path}`);
    }
    const all = operationsOf().filter(({ method }) => !['GET', 'HEAD'].includes(method));
    const asking = new Set(['POST /config:validate', 'POST /explain']);
    expect([...seen].toSorted()).toEqual(
      all
        .map(({ method, path }) => `${method} ${path}`)
        .filter((one) => !asking.has(one))
        .toSorted(),
    );
  });

  it('takes the bodies that the API takes', async () => {
    const value = fc.oneof(
      fc.integer({ min: -2, max: 1003 }),
      fc.constantFrom(
        true,
        false,
        null,
        1.5,
        '1',
        [],
        {},
        'draining',
        'enabled',
        'off',
        'round-robin',
        'least-conn',
      ),
    );
    const body = fc.record(
      {
        url: fc.constantFrom('http://127.0.0.1:1', 'http://127.0.0.1:9', 1, null),
        weight: value,
        backup: value,
        state: value,
        alive: value,
        strategy: value,
        more: value,
      },
      { requiredKeys: [] },
    );
    const bodies = operationsOf().filter(
      ({ path, operation }) =>
        operation.requestBody?.content['application/json'] !== undefined &&
        !path.includes('{pool}') &&
        path !== '/config:validate',
    );
    expect(bodies.length).toBeGreaterThan(5);
    const keys = new Map(
      bodies.map(({ method, path }) => {
        const schema = schemaAt(
          'paths',
          path,
          method.toLowerCase(),
          'requestBody',
          'content',
          'application/json',
          'schema',
        );
        return [`${method} ${path}`, schema] as const;
      }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...bodies),
        body,
        fc.boolean(),
        async ({ method, path }, any, areKnown) => {
          const isValid = validatorOf(keys.get(`${method} ${path}`) ?? '');
          // Mostly, one key too many is all that is wrong.
          const names = Object.keys(any).filter((name) =>
            isValid({ [name]: any[name as keyof typeof any] }),
          );
          const sent = areKnown
            ? Object.fromEntries(names.map((name) => [name, any[name as keyof typeof any]]))
            : any;
          const { status } = await fetch(adminUrl + path.replace('{id}', '0'), {
            method,
            headers: STALE,
            body: JSON.stringify(sent),
          });
          const isTaken = ![400, 422].includes(status);
          expect([method, path, sent, isTaken]).toEqual([method, path, sent, isValid(sent)]);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('says what each call answers', async () => {
    const seen = new Set<string>();
    const statuses = new Set<string>();
    for (const one of CALLS) {
      const { method, path } = one;
      const status = await checked(one);
      seen.add(`${method} ${path}`);
      statuses.add(`${method} ${path} ${status}`);
      if (method !== 'GET') continue;
      await checked({ ...one, method: 'HEAD' });
      seen.add(`HEAD ${path}`);
    }
    const all = operationsOf();
    expect([...seen].toSorted()).toEqual(
      all.map(({ method, path }) => `${method} ${path}`).toSorted(),
    );
    const good = all
      .filter(({ method }) => method !== 'HEAD')
      .flatMap(({ method, path, operation }) =>
        Object.keys(operation.responses)
          .filter((status) => status.startsWith('2'))
          .map((status) => `${method} ${path} ${status}`),
      );
    // Of a removal by the URL with a drain, the one by id says enough; what a cluster answers needs an etcd.
    const missing = good.filter(
      (one) => !statuses.has(one) && !/^DELETE \S*\/backends 202$|^GET \/cluster/.test(one),
    );
    expect(missing).toEqual([]);
  });
});
