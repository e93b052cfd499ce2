/** What a route changes on the way, in the config: what it means, what is wrong with it and where, and how it is shown. */
import { describe, expect, test } from 'vitest';
import { configOf } from '../../src/config/effective/effective.ts';
import { redirectTemplate } from '../../src/config/schema/template-schema.ts';
import { type Around, loadText, problemsOf, settingsOf } from './load-text.ts';

const POOLS = 'pools: { web: { backends: [":1"] } }';

function text(route: string): string {
  return `${POOLS}\nroutes:\n  - { pool: web, ${route} }`;
}

function rewritingOf(route: string, around: Around = {}) {
  return settingsOf(text(route), around).routes[0]?.rewriting;
}

function problems(route: string, around: Around = {}): string[] {
  return problemsOf(text(route), around).map((problem) => problem.replace('c.yaml:3:', ''));
}

/** The route as the config in force shows it. */
function shown(route: string, around: Around = {}): unknown {
  const result = loadText(text(route), around);
  if (!result.ok) throw new Error(problems(route, around).join('\n'));
  return (configOf(result.settings)['routes'] as unknown[])[0];
}

const NONE = { target: null, requestFields: null, responseFields: null };

test.each([
  ['path: /', null],
  [
    'path: /v1/, strip_prefix: /v1',
    { ...NONE, target: { kind: 'strip', prefix: '/v1', segments: 1 } },
  ],
  [
    'path: "=/:t/v1", strip_prefix: "/:t/"',
    { ...NONE, target: { kind: 'strip', prefix: '/:t', segments: 1 } },
  ],
  [
    'path: /old/:id, rewrite: "/n/${path.id}/${path.rest}?a"',
    {
      ...NONE,
      target: {
        kind: 'template',
        template: [
          '/n/',
          { of: 'path.segment', index: 1, name: 'id' },
          '/',
          { of: 'path.rest', segments: 2 },
          '?a',
        ],
      },
    },
  ],
  [
    'request_headers: { set: { X-A: "${host.label(2)}" }, add: { b: c }, remove: [D] }',
    {
      ...NONE,
      requestFields: {
        set: [{ name: 'X-A', value: [{ of: 'host.label', number: 2 }] }],
        add: [{ name: 'b', value: ['c'] }],
        remove: ['D'],
      },
    },
  ],
  [
    'response_headers: { remove: [server], set: { a: "${header.X-B}" } }',
    {
      ...NONE,
      responseFields: {
        set: [{ name: 'a', value: [{ of: 'header', name: 'x-b' }] }],
        add: [],
        remove: ['server'],
      },
    },
  ],
])('%s', (route, rewriting) => {
  expect(rewritingOf(route)).toEqual(rewriting);
});

function valueOf(written: string, env: Record<string, string> = {}): unknown {
  const route = `request_headers: { set: { a: '${written}' } }`;
  return rewritingOf(route, { env })?.requestFields?.set[0]?.value;
}

describe('variables of the request beside those of the environment', () => {
  test.each<[string, Record<string, string>, unknown[]]>([
    ['${A}', { A: 'x' }, ['x']],
    ['${A:-y}', {}, ['y']],
    ['${A:-1.5}', {}, ['1.5']],
    ['${A} ${path}', { A: 'x', path: 'z' }, ['x ', { of: 'path' }]],
    ['${PATH}', { PATH: '/bin' }, ['/bin']],
    ['$${A}', { A: 'x' }, ['${A}']],
    ['$${path}', {}, ['${path}']],
    // What the environment holds is a text, whatever it looks like.
    ['${A}', { A: '${path}' }, ['${path}']],
    ['${A}', { A: '$${path}' }, ['$${path}']],
  ])('%s with %j', (written, env, parts) => {
    expect(valueOf(written, env)).toEqual(parts);
  });

  test('are told apart only where a template stands', () => {
    const env = { path: '/p', host: 'h' };
    const config = `health_check_path: "\${path}"\nhost_header: "\${host}"\nbackends: [":1"]`;
    expect(settingsOf(config, { env })).toMatchObject({
      healthCheck: { path: '/p' },
      hostHeader: { kind: 'fixed', value: 'h' },
    });
    expect(problemsOf('health_check_path: "/${path.rest}"')).toEqual([
      expect.stringContaining('malformed reference "${path.rest}"'),
    ]);
  });

  test('are read from FAIRLEAD_ROUTES, where nothing is filled in', () => {
    const routes = JSON.stringify([{ path: '/a', pool: 'web', rewrite: '/b${path}' }]);
    const { routes: read } = settingsOf(POOLS, { env: { FAIRLEAD_ROUTES: routes } });
    expect(read[0]?.rewriting?.target).toEqual({
      kind: 'template',
      template: ['/b', { of: 'path' }],
    });
  });
});

const SET = 'routes.0.request_headers.set';

test.each<[string, string]>([
  // Templates.
  [
    'request_headers: { set: { a: "${paht.rest}" } }',
    `${SET}.a: has an unknown variable \${paht.rest} (did you mean "path.rest"?)`,
  ],
  [
    'request_headers: { set: { a: "${zzzzz.yyyyy}" } }',
    `${SET}.a: has an unknown variable \${zzzzz.yyyyy} (there are \${path}, \${query}, \${host}, \${scheme}, \${method}, \${path.rest}, \${client.address}, \${request.id}, \${path.NAME}, \${host.label(1)}, \${header.NAME})`,
  ],
  [
    'request_headers: { set: { a: "${remote_addr}" } }',
    `${SET}.a: the environment variable remote_addr is not set (did you mean "client.address"?)`,
  ],
  [
    'request_headers: { set: { a: "${nobody}" } }',
    `${SET}.a: the environment variable nobody is not set (set it, or write \${nobody:-default})`,
  ],
  ['request_headers: { set: { a: "${path" } }', `${SET}.a: has "\${path" without a "}"`],
  [
    'request_headers: { set: { a: "${path:-/}" } }',
    `${SET}.a: has a default in \${path:-/}: only variables of the environment have one`,
  ],
  [
    'request_headers: { set: { a: "${host.label(0)}" } }',
    `${SET}.a: has \${host.label(0)}: labels are counted from 1, from the left`,
  ],
  [
    'request_headers: { set: { a: "${header.a b}" } }',
    `${SET}.a: has \${header.a b}: a header field is needed, such as \${header.x-tenant}`,
  ],
  [
    'request_headers: { set: { a: "${header.Host}" } }',
    `${SET}.a: has \${header.Host} (write \${host})`,
  ],
  [
    'request_headers: { set: { a: "${header.te}" } }',
    `${SET}.a: has \${header.te}, a field that is for one hop only`,
  ],
  [
    'request_headers: { set: { a: "${header.x_real_ip}" } }',
    `${SET}.a: has \${header.x_real_ip}, a field that is never forwarded (write it with "-" for "_")`,
  ],
  [
    'request_headers: { set: { a: "${path.id}" } }',
    `${SET}.a: has \${path.id}, but the path of the route has no segment ":id"`,
  ],
  [
    'path: "/:di", request_headers: { set: { a: "${path.id}" } }',
    `${SET}.a: has \${path.id}, but the path of the route has no segment ":id" (did you mean "path.di"?)`,
  ],
  [
    'path: "/:rest", request_headers: { set: { a: "${path.rest}" } }',
    `${SET}.a: has \${path.rest}, which is what is behind the path, and also a segment ":rest" (give the segment another name)`,
  ],
  [
    'path: =/a, rewrite: "/${path.rest}"',
    'routes.0.rewrite: has ${path.rest}, but nothing is behind an exact path',
  ],
  [
    'rewrite: "${path}${path}${path}${path}${path}${path}${path}${path}${path}${path}${path}${path}${path}${path}${path}${path}${path}"',
    'routes.0.rewrite: must not have more than 16 variables',
  ],
  // Values.
  [
    'request_headers: { set: { a: "" } }',
    `${SET}.a: must not be empty ("remove" takes a field away)`,
  ],
  [
    'request_headers: { set: { a: "b\\r\\nc: d" } }',
    `${SET}.a: must be ASCII without control characters`,
  ],
  ['request_headers: { set: { a: "b\\0" } }', `${SET}.a: must be ASCII without control characters`],
  ['request_headers: { set: { a: "é" } }', `${SET}.a: must be ASCII without control characters`],
  ['request_headers: { set: { a: " b" } }', `${SET}.a: must not have spaces at its ends`],
  [
    'request_headers: { set: { a: 1 } }',
    `${SET}.a: must be a text, such as "\${host.label(1)}", not 1`,
  ],
  // Names.
  [
    'request_headers: { set: { "a b": c } }',
    `${SET}.a b: must be the name of a header field, such as X-Tenant`,
  ],
  [
    'request_headers: { set: { "a:": c } }',
    `${SET}.a:: must be the name of a header field, such as X-Tenant`,
  ],
  [
    'request_headers: { set: { Host: c } }',
    `${SET}.Host: Host can’t be changed here (host_header of the pool says what it is)`,
  ],
  [
    'request_headers: { add: { X-Forwarded-For: c } }',
    'routes.0.request_headers.add.X-Forwarded-For: X-Forwarded-For is written by Fairlead (x_forwarded: false leaves it out, trusted_proxies may set it)',
  ],
  [
    'request_headers: { set: { x_forwarded_for: c } }',
    `${SET}.x_forwarded_for: x_forwarded_for is written by Fairlead (x_forwarded: false leaves it out, trusted_proxies may set it)`,
  ],
  [
    'request_headers: { set: { X_Forwarded_User: c } }',
    `${SET}.X_Forwarded_User: X_Forwarded_User is never forwarded: write it with "-" for "_"`,
  ],
  [
    'request_headers: { remove: [Via] }',
    'routes.0.request_headers.remove.0: Via is written by Fairlead (via: false leaves it out)',
  ],
  [
    'request_headers: { set: { Content_Length: "5" } }',
    `${SET}.Content_Length: Content_Length is about the connection or the length of the message, which Fairlead sees to`,
  ],
  [
    'request_headers: { set: { a: b }, remove: [A] }',
    'routes.0.request_headers.remove.0: A stands here twice ("set" takes the others away)',
  ],
  [
    'request_headers: { sett: { a: b } }',
    'routes.0.request_headers.sett: unknown key (did you mean "set"?)',
  ],
  [
    'request_headers: { remove: a }',
    'routes.0.request_headers.remove: must be a list of names of header fields, not "a"',
  ],
  [
    'request_headers: [a]',
    'routes.0.request_headers: must be a mapping, such as { set: { x-tenant: "${host.label(1)}" } }, not a list',
  ],
  [
    'response_headers: { set: { Date: now } }',
    'routes.0.response_headers.set.Date: Date is what caches go by, and every answer has one',
  ],
  [
    'response_headers: { remove: [via] }',
    'routes.0.response_headers.remove.0: via is written by Fairlead (via: false leaves it out)',
  ],
  // Targets.
  ['rewrite: new', 'routes.0.rewrite: must begin with "/" or ${path}'],
  ['rewrite: ""', 'routes.0.rewrite: must begin with "/" or ${path}'],
  ['rewrite: "${path.rest}"', 'routes.0.rewrite: must begin with "/" or ${path}'],
  [
    'rewrite: "https://a/b"',
    'routes.0.rewrite: must be a path ("redirect" sends clients to another host)',
  ],
  [
    'rewrite: "//a"',
    'routes.0.rewrite: must not begin with two slashes: the second would begin a host',
  ],
  ['rewrite: "/a#b"', 'routes.0.rewrite: must not have a "#": no request has one'],
  ['rewrite: "/a/${query}"', 'routes.0.rewrite: has ${query} before a "?" (write ?${query})'],
  ['rewrite: "/a/../b"', 'routes.0.rewrite: must not have dot segments'],
  ['rewrite: "/a/%2E."', 'routes.0.rewrite: must not have dot segments'],
  ['rewrite: "/a%00"', 'routes.0.rewrite: must not have backslashes or NULs'],
  ['rewrite: "/a%zz"', 'routes.0.rewrite: has a "%" without two hexadecimal digits'],
  [
    'rewrite: "/a b"',
    'routes.0.rewrite: must have only characters that a URL may have (write " " as %20)',
  ],
  [
    'rewrite: "/é"',
    'routes.0.rewrite: must have only characters that a URL may have (write "é" as %C3%A9)',
  ],
  ['rewrite: "/a\\r\\nb"', 'routes.0.rewrite: must have only characters that a URL may have'],
  [
    'path: /a, strip_prefix: /a, rewrite: /b',
    'routes.0.rewrite: can’t stand beside strip_prefix (${path.rest} is what is behind the path of the route)',
  ],
  [
    'strip_prefix: /v1',
    'routes.0.strip_prefix: must be what the path of the route begins with, which is / (write path: /v1/)',
  ],
  [
    'path: /v1x, strip_prefix: /v1',
    'routes.0.strip_prefix: must be what the path of the route begins with, which is /v1x (write path: /v1/)',
  ],
  [
    'path: "/:a", strip_prefix: /v1',
    'routes.0.strip_prefix: must be what the path of the route begins with, which is /:a (write path: /v1/)',
  ],
  [
    'path: /v1, strip_prefix: /v1/a',
    'routes.0.strip_prefix: must be what the path of the route begins with, which is /v1 (write path: /v1/a/)',
  ],
  ['strip_prefix: /', 'routes.0.strip_prefix: takes nothing off (leave it out)'],
  ['strip_prefix: =/a', 'routes.0.strip_prefix: must be a prefix, without "="'],
  [
    'strip_prefix: a',
    'routes.0.strip_prefix: must begin with "/", or with "=/" for exactly this path',
  ],
])('%s', (route, problem) => {
  expect(problems(route)).toEqual([expect.stringMatching(/^\d+: /)]);
  expect(problems(route)[0]?.replace(/^\d+: /, '')).toBe(problem);
});

test('of a route that answers by itself, only the answer can be changed', () => {
  const respond = 'respond: { body: a }, response_headers: { set: { a: b } }';
  const routes = (more: string): string =>
    `${POOLS}\nroutes:\n  - { path: /a, ${respond}${more} }\n  - { pool: web }`;
  expect(problemsOf(routes(''))).toEqual([]);
  expect(
    problemsOf(routes(', strip_prefix: /a, request_headers: { remove: [a] }')).map((problem) =>
      problem.replace(/^.*routes/, 'routes'),
    ),
  ).toEqual([
    'routes.0.strip_prefix: has no effect: requests of this route go to no pool',
    'routes.0.request_headers: has no effect: requests of this route go to no pool',
  ]);
});

test('a name that objects have is none of a field', () => {
  for (const key of ['request_headers', 'response_headers']) {
    for (const list of ['set', 'add']) {
      const at = `routes.0.${key}.${list}.__proto__`;
      expect(problems(`${key}: { ${list}: { "__proto__": a } }`)).toEqual([
        expect.stringContaining(`${at}: must not be a name here`),
      ]);
    }
  }
});

test('what is shown means the same when it is read', () => {
  const route = `path: /v1/:id, rewrite: '/\${path.id}/$\${x}?\${query}',
    request_headers: { set: { A: '\${E} \${header.x}' }, remove: [b] },
    response_headers: { add: { c: '\${host.label(1)}' } }`.replaceAll(/\n\s*/g, ' ');
  // A brace has no place in a path.
  const good = route.replace('$${x}', 'x');
  const around = { env: { E: '${path}' } };
  const once = shown(good, around);
  expect(once).toEqual({
    path: '/v1/:id',
    pool: 'web',
    rewrite: '/${path.id}/x?${query}',
    request_headers: { set: { A: '$${path} ${header.x}' }, remove: ['b'] },
    response_headers: { add: { c: '${host.label(1)}' } },
  });
  const again = settingsOf(`${POOLS}\nroutes: ${JSON.stringify([once])}`);
  expect(again.routes).toEqual(settingsOf(text(good), around).routes);
});

test('secrets in fields are not shown', () => {
  const fields = '{ Authorization: "Bearer ${T}", X-Api-Key: k, X-Token: "${header.x-t}", X-A: b }';
  expect(shown(`request_headers: { set: ${fields} }`, { env: { T: 'geheim' } })).toMatchObject({
    request_headers: {
      set: {
        Authorization: '***',
        'X-Api-Key': '***',
        'X-Token': '${header.x-t}',
        'X-A': 'b',
      },
    },
  });
  expect(problems('request_headers: { set: { authorization: "s3cret\\n" } }').join()).not.toContain(
    's3cret',
  );
});

test.each([
  'X-Auth',
  'X-Session',
  'X-Credential',
  'X-Internal-Signature',
  'X-Passwd',
  'Set-Cookie',
  'X-Authorization',
])('what %s holds is shown of no rule and of no check', (name) => {
  const fields = `{ ${name}: geheim }`;
  const lists = { set: { [name]: '***' } };
  expect(
    shown(`request_headers: { set: ${fields} }, response_headers: { add: ${fields} }`),
  ).toMatchObject({ request_headers: lists, response_headers: { add: { [name]: '***' } } });
  const checked = loadText(`backends: [":1"]\nhealth_check_headers: ${fields}`);
  if (!checked.ok) throw new Error('not read');
  expect(configOf(checked.settings)['health_check_headers']).toEqual({ [name]: '*'.repeat(16) });
});

function notesOf(route: string): readonly string[] {
  const result = loadText(`encoded_slashes: keep\n${text(route)}`);
  return result.ok ? result.notes : ['bad'];
}

test('encoded_slashes has an effect where a route rewrites', () => {
  const note = [expect.stringContaining('encoded_slashes has no effect')];
  expect(notesOf('path: /')).toEqual(note);
  expect(notesOf('request_headers: { set: { a: "${host}" } }')).toEqual(note);
  expect(notesOf('request_headers: { set: { a: "${path}" } }')).toEqual([]);
  expect(notesOf('response_headers: { add: { a: "${path.rest}" } }')).toEqual([]);
  expect(notesOf('rewrite: /a')).toEqual([]);
});

function redirectFault(to: string): unknown {
  return redirectTemplate().safeParse(to).error?.issues[0]?.message;
}

describe('where a redirect may lead', () => {
  test.each([
    '/',
    '/new/${path.rest}?a#b',
    '${path}',
    'http://a.example',
    'HTTPS://a.example:8443/x',
    'https://[::1]:80${path}?${query}',
    'https://${host}${path}',
    '${scheme}://www.${host.label(1)}.example${path}',
  ])('%s', (to) => {
    expect(redirectFault(to)).toBeUndefined();
  });

  test.each([
    ['a', 'must begin with "/" or ${path}'],
    ['//evil.example', 'must not begin with two slashes: the second would begin a host'],
    ['/\\evil.example', 'must not begin with two slashes: the second would begin a host'],
    ['javascript://x/', 'must begin with "/", "http://" or "https://"'],
    ['${scheme}s://x/', 'must begin with "/" or ${path}'],
    ['https:///a', 'must have a host behind "://", and perhaps a port'],
    ['https://user@a.example/', 'must have a host behind "://", and perhaps a port'],
    ['https://a.example\\@b/', 'must have a host behind "://", and perhaps a port'],
    [
      'https://${header.x}/',
      'must not have a variable in its host but ${host} and ${host.label(N)}',
    ],
    [
      'https://a${path.rest}',
      'must not have a variable in its host but ${host} and ${host.label(N)}',
    ],
    [
      'https://${path.rest}',
      'must not have a variable in its host but ${host} and ${host.label(N)}',
    ],
    ['https://a/..', 'must not have dot segments'],
    ['/a#${path}', 'must not have variables behind "#"'],
    ['/a\r\nb: c', 'must have only characters that a URL may have'],
  ])('%j %s', (to, fault) => {
    expect(redirectFault(to)).toBe(fault);
  });
});

test('traceparent of a route has no effect beside tracing, which is said', () => {
  const route = 'request_headers: { set: { TraceParent: "00-a" }, add: { tracestate: "a=1" } }';
  const notes = (around: string): readonly string[] => {
    const result = loadText(`${around}\n${text(route)}`);
    return result.ok ? result.notes : ['bad'];
  };
  expect(notes('tracing: false')).toEqual([]);
  expect(notes('tracing: {}')).toEqual([
    'routes.0: request_headers: TraceParent has no effect: with tracing, backends are told of our spans in it',
  ]);
});
