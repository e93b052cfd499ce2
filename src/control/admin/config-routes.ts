/** `/config`, `/schema.json`, `/reload`, `/config:validate`, and the index of all calls. */
import { setImmediate } from 'node:timers/promises';
import type { LoadResult } from '../../config/load.ts';
import { withoutExcerpts } from '../../config/problem.ts';
import type { Settings } from '../../config/settings.ts';
import { didYouMean } from '../../config/values/nearest.ts';
import { certificatesOf, notesOnFaults } from '../certificates/read-again.ts';
import type { FairleadContext } from '../context.ts';
import type { ReadDashboard } from '../dashboard-page.ts';
import type { Operator } from '../operator.ts';
import { OVERRIDABLE } from '../operator-words.ts';
import type { Registry } from '../registry.ts';
import { configDifference } from '../reload/config-difference.ts';
import { withApiChanges } from '../reload/effective-config.ts';
import { ConfigRefused, type ReloadOutcome } from '../reload/reload.ts';
import type { ReloadRequest } from '../reload/reloads.ts';
import { countChanges } from '../state/operator-state.ts';
import { type OverrideChoice } from '../state/overrides.ts';
import {
  config as configForm,
  document,
  dropped as droppedForm,
  index as indexForm,
  overrides as overridesForm,
  reloaded,
  validated,
} from './answers.ts';
import { clip } from './body.ts';
import { PAGE_TYPE, pageAnswer, wantsPage } from './dashboard-answer.ts';
import { etagOf, preconditionOf } from './etag.ts';
import { answer, MOST_BODY_BYTES, plainAnswer } from './form.ts';
import { ID, KEEPING } from './parameters.ts';
import { unknownPool } from './pool-routes.ts';
import { ProblemError } from './problem.ts';
import { RestedLook } from './rested-look.ts';
import type { Route } from './router.ts';
import { inForce } from './terms.ts';

const SCHEMA_TYPE = 'application/schema+json';

/** Which of them; what is left out chooses all. */
const CHOICE = {
  pool: { says: 'Those of this pool.', schema: { type: 'string' } },
  value: { says: 'Those of this value.', schema: { type: 'string', enum: OVERRIDABLE } },
  backend: { says: 'Those of the backend with this id.', schema: ID.schema },
  ...KEEPING,
};

export interface ConfigRoutesOptions {
  readonly registry: Registry;
  readonly operator: Operator;
  readonly context: FairleadContext;
  readonly reload: (request: ReloadRequest) => Promise<ReloadOutcome>;
}

export function configRoutes({
  registry,
  operator,
  context,
  reload,
}: ConfigRoutesOptions): Route[] {
  const inTurn = turns();
  // Without the time that it waited for its turn.
  const forViewers = new RestedLook((settings: Settings) => context.look(certificatesOf(settings)));

  /** @throws ConfigRefused */
  function differenceOf(result: LoadResult): object {
    if (!result.ok) throw new ConfigRefused(result.problems);
    return {
      valid: true,
      ...configDifference(registry.settings, result),
      overrides: registry.overrides(),
      notes: [...notesOnFaults(result.faults ?? []), ...result.notes],
    };
  }

  return [
    {
      path: '/config',
      summary: 'the effective config, secrets hidden',
      methods: {
        GET: {
          says: 'the config in force',
          answers: { 200: answer('Secrets are hidden.', configForm) },
          handle: () => ({
            status: 200,
            body: withApiChanges(context.effectiveConfig(), registry),
            headers: { ETag: etagOf(registry) },
          }),
        },
      },
    },
    {
      path: '/schema.json',
      summary: 'the JSON Schema of the config',
      methods: {
        GET: {
          says: 'the JSON Schema of the config',
          answers: { 200: { ...plainAnswer('For editors.', document), contentType: SCHEMA_TYPE } },
          handle: () => ({
            status: 200,
            body: context.jsonSchema(),
            contentType: SCHEMA_TYPE,
          }),
        },
      },
    },
    {
      path: '/reload',
      summary: 'read the config again',
      methods: {
        POST: {
          says: 'reads the config again',
          answers: { 200: answer('What that has changed.', reloaded) },
          problems: [409, 422],
          handle: async ({ request, actor }) => {
            const precondition = preconditionOf(request);
            const { hasChanged, changed, notes } = await reload({ precondition, actor });
            const { generation, operatorState } = registry;
            return {
              status: 200,
              body: {
                changed: hasChanged,
                changes: changed,
                generation,
                api_changes: countChanges(operatorState),
                overrides: registry.overrides(),
                notes,
              },
              headers: { ETag: etagOf(registry) },
            };
          },
        },
      },
    },
    {
      path: '/overrides',
      summary: 'what this API has set otherwise than the config; drop that',
      methods: {
        GET: {
          says: 'what this API has set otherwise than the config',
          answers: { 200: answer('All of it.', overridesForm) },
          handle: () => ({
            status: 200,
            body: [...registry.overrides(), ...registry.resting()],
            headers: { ETag: etagOf(registry) },
          }),
        },
        DELETE: {
          says: 'drops that',
          query: CHOICE,
          answers: { 200: answer('What was dropped.', droppedForm) },
          problems: [404, 422],
          handle: async (call) => {
            const choice = readChoice(call.query, registry);
            const dropped = await inForce(operator, call, (terms) => operator.reset(choice, terms));
            return {
              status: 200,
              body: { dropped },
              headers: { ETag: etagOf(registry) },
            };
          },
        },
      },
    },
    {
      path: '/config:changes',
      summary: 'what POST /reload would change now',
      methods: {
        GET: {
          says: 'reads the config without running it',
          answers: { 200: plainAnswer('What a reload would change.', validated) },
          problems: [422],
          handle: async ({ role }) => {
            const { settings } = registry;
            const result = await inTurn(() =>
              role === 'operator'
                ? context.look(certificatesOf(settings))
                : forViewers.take(settings),
            );
            const isTold = result.ok || role === 'operator';
            const told = isTold
              ? result
              : { ...result, problems: withoutExcerpts(result.problems) };
            return { status: 200, body: differenceOf(told) };
          },
        },
      },
    },
    {
      path: '/config:validate',
      summary: 'check a config (YAML or JSON in the body), and what it would change',
      methods: {
        POST: {
          says: 'checks a config without running it',
          body: {
            contentTypes: ['application/yaml', 'application/json'],
            mostBytes: MOST_BODY_BYTES,
          },
          answers: { 200: plainAnswer('What it would change.', validated) },
          problems: [422],
          isOnlyAsking: true,
          handle: async ({ request, body }) => {
            const text = decodeText(body);
            const type = request.headers['content-type'];
            const inUse = certificatesOf(registry.settings);
            const result = await inTurn(() => context.validate(text, type, inUse));
            return { status: 200, body: differenceOf(result) };
          },
        },
      },
    },
  ];
}

/** `GET /`: what can be called; for a browser, the dashboard. */
export function indexRoute(routes: readonly Route[], dashboard: ReadDashboard): Route {
  const calls = routes.flatMap(({ path, methods, summary }) => ({
    path,
    methods: Object.keys(methods),
    summary,
  }));
  return {
    path: '/',
    summary: 'this list; for a browser, the dashboard',
    isOpenTo: wantsPage,
    methods: {
      GET: {
        says: 'this list; for a browser, the dashboard',
        answers: {
          200: { ...plainAnswer('What can be called.', indexForm), otherTypes: [PAGE_TYPE] },
        },
        handle: async ({ request: { headers } }) => {
          const page = wantsPage(headers) ? await dashboard() : undefined;
          if (page !== undefined) return pageAnswer(page, headers);
          return {
            status: 200,
            body: { name: 'fairlead', calls },
            headers: { Vary: 'Accept, Accept-Encoding' },
          };
        },
      },
    },
  };
}

/** `?pool=default&value=weight&backend=0`. @throws ProblemError 404 or 422 */
function readChoice(query: URLSearchParams, registry: Registry): OverrideChoice {
  const wanted = query.get('value');
  const id = query.get('backend');
  const value = OVERRIDABLE.find((one) => one === wanted);
  if (wanted !== null && value === undefined) {
    throw new ProblemError(
      422,
      'ERR_INVALID_VALUE',
      `value: must be one of ${OVERRIDABLE.join(', ')}`,
      didYouMean(clip(wanted), OVERRIDABLE),
    );
  }
  const name = query.get('pool') ?? undefined;
  const isKnown = (pool: string): boolean =>
    registry.pool(pool) !== undefined || registry.resting().some((one) => one.pool === pool);
  if (name !== undefined && !isKnown(name)) {
    throw unknownPool(`There is no pool ${JSON.stringify(clip(name))}.`);
  }
  if (id === null) return { pool: name, value };
  const pool = /^\d{1,15}$/.test(id) ? registry.poolOf(Number(id)) : undefined;
  const backend = pool?.backend(Number(id));
  if (pool !== undefined && backend !== undefined && (name ?? pool.name) === pool.name) {
    return { pool: pool.name, value, backend: backend.address.url };
  }
  throw new ProblemError(
    404,
    'ERR_UNKNOWN_BACKEND',
    `There is no backend ${JSON.stringify(clip(id))}.`,
    { hint: 'GET /backends lists them' },
  );
}

/**
 * One after the other, with a turn of the event loop before each: a text may keep it busy for a good part of a second, and
 * twenty that came at once would keep everybody else, signals too, waiting for all of them.
 */
function turns(): <Result>(step: () => Result | Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  return (step) => {
    const turn = last.then(() => setImmediate()).then(step);
    last = turn.catch(() => {});
    return turn;
  };
}

function decodeText(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw new ProblemError(400, 'ERR_BAD_TEXT', 'The body is not UTF-8.');
  }
}
