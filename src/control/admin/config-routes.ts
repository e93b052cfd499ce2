/** `/config`, `/schema.json`, `/reload`, `/config:validate`, and the index of all calls. */
import type { FairleadContext } from '../context.ts';
import { withApiChanges } from '../effective-config.ts';
import type { Precondition } from '../operator.ts';
import { countChanges } from '../operator-state.ts';
import type { Registry } from '../registry.ts';
import { ConfigRefused } from '../reload.ts';
import { etagOf, preconditionOf } from './etag.ts';
import { ProblemError } from './problem.ts';
import type { Route } from './router.ts';

export interface ConfigRoutesOptions {
  readonly registry: Registry;
  readonly context: FairleadContext;
  readonly reload: (precondition?: Precondition) => Promise<boolean>;
}

export function configRoutes({ registry, context, reload }: ConfigRoutesOptions): Route[] {
  return [
    {
      path: '/config',
      summary: 'the effective config, secrets hidden',
      methods: {
        GET: () => ({
          status: 200,
          body: withApiChanges(context.effectiveConfig(), registry),
          headers: { ETag: etagOf(registry.generation) },
        }),
      },
    },
    {
      path: '/schema.json',
      summary: 'the JSON Schema of the config',
      methods: {
        GET: () => ({
          status: 200,
          body: context.jsonSchema(),
          contentType: 'application/schema+json',
        }),
      },
    },
    {
      path: '/reload',
      summary: 'read the config again',
      methods: {
        POST: async ({ request }) => {
          const hasChanged = await reload(preconditionOf(request));
          const changes = countChanges(registry.operatorState);
          return {
            status: 200,
            body: { changed: hasChanged, generation: registry.generation, api_changes: changes },
            headers: { ETag: etagOf(registry.generation) },
          };
        },
      },
    },
    {
      path: '/config:validate',
      summary: 'check a config (YAML or JSON in the body) without running it',
      methods: {
        POST: async ({ request, body }) => {
          const text = decodeText(body);
          const result = await context.validate(text, request.headers['content-type']);
          if (!result.ok) throw new ConfigRefused(result.problems);
          return { status: 200, body: { valid: true } };
        },
      },
    },
  ];
}

/** `GET /`: what can be called. */
export function indexRoute(routes: readonly Route[]): Route {
  const calls = routes.flatMap(({ path, methods, summary }) => ({
    path,
    methods: Object.keys(methods),
    summary,
  }));
  return {
    path: '/',
    summary: 'this list',
    methods: { GET: () => ({ status: 200, body: { name: 'fairlead', calls } }) },
  };
}

function decodeText(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw new ProblemError(400, 'ERR_BAD_TEXT', 'The body is not UTF-8.');
  }
}
