/** The OpenAPI document of the admin API, made from the table that its calls are found in: there is no other list. */
import { z } from 'zod';
import { VERSION } from '../version.ts';
import { document, PARTS, problem } from './answers.ts';
import { type AnswerForm, type Form, JSON_TYPE, type Parameter, plainAnswer } from './form.ts';
import { PROBLEM_CONTENT_TYPE } from './problem.ts';
import type { Operation, Route } from './router.ts';

type Json = Readonly<Record<string, unknown>>;

const SCHEMAS = '#/components/schemas/';
const POOL: Parameter = { says: 'The name of a pool.', schema: { type: 'string' } };
const IF_MATCH: Parameter = {
  says: 'The ETag of what was read: the change is made only if nothing has changed since.',
  schema: { type: 'string' },
};
/** Whatever the call is. */
const OF_ALL = [400, 401, 403, 429, 500];
/** Of what is in a pool, and of one of several. */
const OF_ONE = 404;
const OF_CHANGES = [412, 422];
const OF_BODIES = [408, 413];

/** @param routes all of them, this one as well: asked for once it is called. */
export function openApiRoute(routes: () => readonly Route[]): Route {
  let made: Json | undefined;
  return {
    path: '/openapi.json',
    summary: 'this API as an OpenAPI 3.1 document',
    methods: {
      GET: {
        says: 'this document',
        answers: { 200: plainAnswer('OpenAPI 3.1.', document) },
        handle: () => {
          made ??= openApiDocument(routes());
          return { status: 200, body: made };
        },
      },
    },
  };
}

function openApiDocument(routes: readonly Route[]): Json {
  const forms = new Map<string, Form>([problem, ...PARTS].map((one) => [one.id, one]));
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    paths[route.path] = pathItem(route, false, forms);
    if (route.isOfPool === true) paths[`/pools/{pool}${route.path}`] = pathItem(route, true, forms);
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Fairlead admin API',
      version: VERSION,
      license: { name: 'MIT', identifier: 'MIT' },
      description:
        'What is at no path of this document is answered 404 `ERR_UNKNOWN_PATH`; a method that its path does not have, 405 ' +
        '`ERR_METHOD_NOT_ALLOWED` with `Allow`. Errors are RFC 9457 problem details. Calls without `/pools/{pool}` are about the ' +
        'pool `default`. `x-role` says whose token a call takes, where tokens are asked for.',
    },
    servers: [{ url: '/' }],
    security: [{}, { token: [] }],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: schemasOf(forms),
    },
  };
}

function pathItem(route: Route, isInPool: boolean, forms: Map<string, Form>): Json {
  const item: Record<string, Json> = {};
  for (const [method, operation] of Object.entries(route.methods)) {
    const described = describe({ route, method, operation, isInPool }, forms);
    item[method.toLowerCase()] = described;
    if (method === 'GET') {
      item['head'] = {
        ...described,
        operationId: `head${nameOf(route, isInPool)}`,
        responses: headOnly(described),
      };
    }
  }
  const names = Array.from(route.path.matchAll(/\{(\w+)\}/g), ([, name = '']) => name);
  const params = [
    ...(isInPool ? [parameter('path', 'pool', POOL)] : []),
    ...names.map((name) => parameter('path', name, route.params?.[name] ?? POOL)),
  ];
  return { summary: route.summary, ...(params.length > 0 && { parameters: params }), ...item };
}

interface Described {
  readonly route: Route;
  readonly method: string;
  readonly operation: Operation;
  readonly isInPool: boolean;
}

function describe(
  { route, method, operation, isInPool }: Described,
  forms: Map<string, Form>,
): Json {
  const { says, query = {}, fields = {}, body, answers } = operation;
  const isChange = method !== 'GET' && operation.isOnlyAsking !== true;
  const parameters = [
    ...Object.entries(query).map(([name, one]) => parameter('query', name, one)),
    ...Object.entries(fields).map(([name, one]) => parameter('header', name, one)),
    ...(isChange ? [parameter('header', 'If-Match', IF_MATCH)] : []),
  ];
  const statuses = new Set([
    ...(route.isOpen === true ? [400, 500] : OF_ALL),
    ...(route.path.includes('{') || isInPool || (route.isOfPool === true && method === 'DELETE')
      ? [OF_ONE]
      : []),
    ...(isChange ? OF_CHANGES : []),
    ...(body === undefined ? [] : [...OF_BODIES, 422]),
    ...(operation.problems ?? []),
  ]);
  return {
    operationId: `${method.toLowerCase()}${nameOf(route, isInPool)}`,
    summary: says,
    ...(route.isOpen === true && { security: [] }),
    ...(route.isOpen !== true && {
      'x-role': method === 'GET' || operation.mayView === true ? 'viewer' : 'operator',
    }),
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && {
      requestBody: {
        required: true,
        content: Object.fromEntries(
          body.contentTypes.map((type) => [
            type,
            { schema: body.form === undefined ? { type: 'string' } : reference(body.form, forms) },
          ]),
        ),
      },
    }),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, one]) => [status, response(one, forms)]),
      ),
      ...Object.fromEntries([...statuses].map((status) => [status, refusal(status)])),
    },
  };
}

function response(
  { says, form, contentType = JSON_TYPE, otherTypes = [], hasEtag, hasLocation }: AnswerForm,
  forms: Map<string, Form>,
): Json {
  const text = { schema: { type: 'string' } };
  const headers = {
    ...(hasEtag === true && { ETag: { description: 'For If-Match.', ...text } }),
    ...(hasLocation === true && { Location: { description: 'Where it is.', ...text } }),
  };
  return {
    description: says,
    ...(Object.keys(headers).length > 0 && { headers }),
    content: {
      [contentType]: form === undefined ? text : { schema: reference(form, forms) },
      ...Object.fromEntries(otherTypes.map((type) => [type, text])),
    },
  };
}

function refusal(status: number): Json {
  const headers: Record<string, Json> = {};
  const has = (name: string): void => {
    headers[name] = { schema: { type: 'string' } };
  };
  if (status === 401) has('WWW-Authenticate');
  if (status === 412) has('ETag');
  if (status === 429) has('Retry-After');
  return {
    description: 'Refused; the code and the detail say why.',
    ...(Object.keys(headers).length > 0 && { headers }),
    content: { [PROBLEM_CONTENT_TYPE]: { schema: { $ref: SCHEMAS + problem.id } } },
  };
}

/** HEAD is answered as GET is, without the body. */
function headOnly({ responses }: Json): Json {
  return Object.fromEntries(
    Object.entries(responses as Readonly<Record<string, Json>>).map(
      ([status, { content: _content, ...rest }]) => [status, rest],
    ),
  );
}

function parameter(
  where: 'path' | 'query' | 'header',
  name: string,
  { says, schema }: Parameter,
): Json {
  return {
    name,
    in: where,
    description: says,
    ...(where === 'path' && { required: true }),
    schema,
  };
}

function reference(one: Form, forms: Map<string, Form>): Json {
  forms.set(one.id, one);
  return { $ref: SCHEMAS + one.id };
}

/** `/backends/{id}/status` of a pool is `PoolBackendsIdStatus`. */
function nameOf({ path }: Route, isInPool: boolean): string {
  const words = path.split(/[^A-Za-z]+/).filter((word) => word !== '');
  const all = [...(isInPool ? ['pool'] : []), ...(words.length === 0 ? ['index'] : words)];
  return all.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}

function schemasOf(forms: ReadonlyMap<string, Form>): Json {
  const registry = z.registry<{ id: string }>();
  for (const [id, one] of forms) registry.add(one(), { id });
  const { schemas } = z.toJSONSchema(registry, { io: 'input', uri: (id) => SCHEMAS + id });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, { $schema: _schema, $id: _id, ...rest }]) => [id, rest]),
  );
}
