/** `/backends`: list, add, remove, take out, put back, change. */

import { setTimeout as sleep } from 'node:timers/promises';
import { describeOwnAddress } from '../../config/compile/own-address.ts';
import { type BackendAddress, DEFAULT_POOL, MAX_WEIGHT } from '../../config/settings.ts';
import { parseBackendUrl } from '../../config/values/backend-url.ts';
import { parseDuration } from '../../config/values/duration.ts';
import { didYouMean } from '../../config/values/nearest.ts';
import type { Backend } from '../backend.ts';
import { viewBackend, viewBackends } from '../backend-view.ts';
import { type Drains } from '../drains.ts';
import type { Operator } from '../operator.ts';
import {
  ADMIN_STATES,
  type AdminState,
  SESSIONS_WHILE_DRAINING,
  type SessionsWhileDraining,
} from '../operator-words.ts';
import type { BackendUpdate, NewBackend } from '../plan.ts';
import type { PoolRegistry } from '../pool-registry.ts';
import type { Registry } from '../registry.ts';
import { backend as backendForm, backends as backendsForm } from './answers.ts';
import { backendChange, backendStatus, backendUrl, newBackend } from './bodies.ts';
import { clip, parseObject, requireText } from './body.ts';
import { etagOf } from './etag.ts';
import { answer, jsonBody } from './form.ts';
import { DRAINING, ID, KEEPING } from './parameters.ts';
import { poolOf, unknownPool } from './pool-routes.ts';
import { ProblemError } from './problem.ts';
import type { AdminAnswer, AdminCall, Route } from './router.ts';
import { inForce } from './terms.ts';

/** How long an answer waits for the first check of the backend that it tells about. */
const FIRST_CHECK_MS = 1000;

const REMOVED = {
  200: answer('It, as it was; it is gone.', backendForm),
  202: answer('It drains, and is removed then.', backendForm),
};

export interface BackendRoutesOptions {
  readonly registry: Registry;
  readonly operator: Operator;
  readonly drains: Drains;
  /** Checks a backend; resolves with the result there. */
  readonly checkNow: (id: number) => Promise<void>;
  readonly threadCount: number;
  /** Resolves when every data thread runs on what is known now. */
  readonly settled: () => Promise<void>;
}

export function backendRoutes(options: BackendRoutesOptions): Route[] {
  const { registry, operator, drains, checkNow, threadCount, settled } = options;

  function viewAll(pool: PoolRegistry): object[] {
    const backends = pool.backends();
    return viewBackends(pool, threadCount).map((one, index) =>
      drains.shown(one, backends[index] as Backend),
    );
  }

  function view(
    status: number,
    pool: PoolRegistry,
    backend: Backend,
    headers: Readonly<Record<string, string>> = {},
  ): AdminAnswer {
    return {
      status,
      body: drains.shown(viewBackend(backend, pool, threadCount), backend),
      headers: { ETag: etagOf(registry), ...headers },
    };
  }

  /** The backend of a call, and its pool. @throws ProblemError 404 */
  function named(call: AdminCall): { readonly pool: PoolRegistry; readonly backend: Backend } {
    const pool = poolOf(call, registry);
    const text = call.params['id'] ?? '';
    const id = /^\d{1,15}$/.test(text) ? Number(text) : undefined;
    const backend = id === undefined ? undefined : pool.backend(id);
    if (backend !== undefined) return { pool, backend };
    const itsPool = id === undefined ? undefined : registry.poolOf(id);
    throw unknownBackend(
      `There is no backend ${JSON.stringify(clip(text))}`,
      pool,
      itsPool && `backend ${id} is in pool ${itsPool.name}: ${listOf(itsPool)}/${id}`,
    );
  }

  async function add(call: AdminCall): Promise<AdminAnswer> {
    const pool = poolOf(call, registry);
    const body = parseObject(call.body, newBackend);
    const address = readUrl(requireText(body, 'url'));
    const own = describeOwnAddress(address, registry.settings);
    if (own !== undefined) throw new ProblemError(422, 'ERR_INVALID_VALUE', `${own}.`);
    // Only what is left out has a default: null is a mistake.
    const { weight = 1, backup = false, state = 'enabled', id } = body;
    const wanted: NewBackend = {
      weight: readWeight(weight),
      isBackup: readBackup(backup),
      state: readState(state),
      id: id === undefined ? undefined : readId(id),
    };
    const backend = await inForce(operator, call, (terms) =>
      operator.add(pool.name, address, wanted, terms),
    );
    await Promise.race([checkNow(backend.id), sleep(FIRST_CHECK_MS, undefined, { ref: false })]);
    // "alive" in the answer means that the next request may go there.
    await settled();
    const now = stillThere(pool.name, address);
    return view(201, now.pool, now.backend, {
      Location: `${listOf(now.pool)}/${now.backend.id}`,
    });
  }

  /** What was added, as it is after a while: a reload may have taken its pool away, or brought that back. @throws ProblemError 404 */
  function stillThere(name: string, { url }: BackendAddress): ReturnType<typeof named> {
    const pool = registry.pool(name);
    const added = `${clip(url)} was added to the pool ${name}`;
    if (pool === undefined) {
      throw unknownPool(`${added}, which the config has lost since: it is there when the pool is.`);
    }
    const backend = pool.findByUrl(url);
    if (backend !== undefined) return { pool, backend };
    throw unknownBackend(`${added}, and removed since: there is no such backend`, pool);
  }

  async function remove(
    call: AdminCall,
    { pool, backend }: ReturnType<typeof named>,
  ): Promise<AdminAnswer> {
    const drainMs = readDrain(call.query, registry.settings.drainMs) ?? 0;
    const cuts = readCut(call.query);
    if (drainMs > 0) {
      const sessions = readSessions(call.query);
      const leaving = await inForce(operator, call, (terms) =>
        operator.leave(backend.id, drainMs, terms, sessions, cuts),
      );
      return view(202, pool, leaving);
    }
    const removed = view(
      200,
      pool,
      await inForce(operator, call, (terms) => operator.remove(backend.id, terms, cuts)),
    );
    return {
      ...removed,
      body: {
        ...viewBackend(backend, pool, threadCount),
        alive: false,
        why: 'removed',
      },
    };
  }

  return [
    {
      path: '/backends',
      summary: 'the backends; add one; remove one by its URL',
      isOfPool: true,
      methods: {
        GET: {
          says: 'the backends',
          answers: { 200: answer('All, in the order of their ids.', backendsForm) },
          handle: (call) => ({
            status: 200,
            body: viewAll(poolOf(call, registry)),
            headers: { ETag: etagOf(registry) },
          }),
        },
        POST: {
          says: 'adds a backend',
          query: { ...KEEPING },
          body: jsonBody(newBackend),
          answers: {
            201: { ...answer('Added, and checked once.', backendForm), hasLocation: true },
          },
          problems: [409],
          handle: add,
        },
        DELETE: {
          says: 'removes a backend by its URL',
          query: { ...DRAINING, ...KEEPING },
          body: jsonBody(backendUrl),
          answers: REMOVED,
          handle: (call) => {
            const pool = poolOf(call, registry);
            const { url } = readUrl(requireText(parseObject(call.body, backendUrl), 'url'));
            const backend = pool.findByUrl(url);
            if (backend === undefined)
              throw unknownBackend(`There is no backend ${clip(url)}`, pool);
            return remove(call, { pool, backend });
          },
        },
      },
    },
    {
      path: '/backends/{id}',
      summary: 'one backend; change its weight or state; remove it',
      isOfPool: true,
      params: { id: ID },
      methods: {
        GET: {
          says: 'one backend',
          answers: { 200: answer('It.', backendForm) },
          handle: (call) => {
            const { pool, backend } = named(call);
            return view(200, pool, backend);
          },
        },
        PATCH: {
          says: 'changes its weight or its state; drains it',
          query: { ...DRAINING, ...KEEPING },
          body: jsonBody(backendChange),
          answers: { 200: answer('It, as it is now.', backendForm) },
          handle: async (call) => {
            const {
              pool,
              backend: { id },
            } = named(call);
            const update = readUpdate(call.body);
            const drainMs = readDrain(call.query, registry.settings.drainMs);
            const sessions = readSessions(call.query);
            const cuts = readCut(call.query);
            if (((drainMs ?? sessions) !== undefined || cuts) && update.state !== 'draining') {
              throw new ProblemError(
                422,
                'ERR_INVALID_VALUE',
                '"drain", "sessions" and "cut" go with {"state": "draining"}.',
              );
            }
            return view(
              200,
              pool,
              await inForce(operator, call, (terms) =>
                operator.update(id, update, terms, drainMs, sessions, cuts),
              ),
            );
          },
        },
        DELETE: {
          says: 'removes it',
          query: { ...DRAINING, ...KEEPING },
          answers: REMOVED,
          handle: (call) => remove(call, named(call)),
        },
      },
    },
    {
      path: '/backends/{id}/status',
      summary: 'take a backend out ({"alive": false}) and put it back',
      isOfPool: true,
      params: { id: ID },
      methods: {
        PUT: {
          says: 'takes it out, puts it back',
          query: { ...KEEPING },
          body: jsonBody(backendStatus),
          answers: { 200: answer('It, as it is now.', backendForm) },
          handle: async (call) => {
            const {
              pool,
              backend: { id },
            } = named(call);
            const { alive } = parseObject(call.body, backendStatus);
            if (typeof alive !== 'boolean') {
              throw new ProblemError(422, 'ERR_INVALID_VALUE', '"alive" must be true or false.');
            }
            const state = alive ? 'enabled' : 'disabled';
            return view(
              200,
              pool,
              await inForce(operator, call, (terms) => operator.update(id, { state }, terms)),
            );
          },
        },
      },
    },
  ];
}

/** @param elsewhere where there is one, as ids are given in one row over all pools. */
function unknownBackend(detail: string, pool: PoolRegistry, elsewhere?: string): ProblemError {
  const where = pool.name === DEFAULT_POOL ? '' : ` in pool ${pool.name}`;
  return new ProblemError(404, 'ERR_UNKNOWN_BACKEND', `${detail}${where}.`, {
    hint: `GET ${listOf(pool)} lists them`,
    ...(elsewhere !== undefined && { hint: elsewhere }),
  });
}

/** The path of the backends of a pool. */
function listOf({ name }: PoolRegistry): string {
  return name === DEFAULT_POOL ? '/backends' : `/pools/${encodeURIComponent(name)}/backends`;
}

function readUrl(text: string): BackendAddress {
  const parsed = parseBackendUrl(text);
  if (parsed.ok) return parsed.address;
  throw new ProblemError(422, 'ERR_INVALID_URL', `The URL ${clip(parsed.reason)}.`, {
    hint: 'for example http://localhost:3001, or unix:/run/app.sock',
  });
}

function readWeight(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_WEIGHT) {
    return value;
  }
  throw new ProblemError(
    422,
    'ERR_INVALID_WEIGHT',
    `"weight" must be a whole number from 0 to ${MAX_WEIGHT}.`,
  );
}

/** `?drain=30s` in ms; `?drain` without a time means `defaultMs`, and none at all undefined. */
function readDrain(query: URLSearchParams, defaultMs: number): number | undefined {
  const text = query.get('drain');
  if (text === null) return undefined;
  if (text === '') return defaultMs;
  const duration = parseDuration(text);
  if (duration.ok) return duration.ms;
  throw new ProblemError(
    422,
    'ERR_INVALID_VALUE',
    `drain: ${clip(duration.reason)}`,
    duration.hint === undefined ? {} : { hint: duration.hint },
  );
}

/** `?sessions=move`: a backend that drains loses its sessions at once. */
function readSessions(query: URLSearchParams): SessionsWhileDraining | undefined {
  const text = query.get('sessions');
  if (text === null) return undefined;
  const sessions = SESSIONS_WHILE_DRAINING.find((one) => one === text);
  if (sessions !== undefined) return sessions;
  throw new ProblemError(
    422,
    'ERR_INVALID_VALUE',
    `sessions: must be one of ${SESSIONS_WHILE_DRAINING.join(', ')}`,
    didYouMean(clip(text), SESSIONS_WHILE_DRAINING),
  );
}

/** `?cut=true`: requests that are left at the deadline are cut. */
function readCut(query: URLSearchParams): boolean {
  const text = query.get('cut') ?? 'false';
  if (text === 'true' || text === 'false') return text === 'true';
  throw new ProblemError(422, 'ERR_INVALID_VALUE', 'cut: must be true or false.');
}

function readBackup(value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw new ProblemError(422, 'ERR_INVALID_VALUE', '"backup" must be true or false.');
}

function readState(value: unknown): AdminState {
  const state = ADMIN_STATES.find((name) => name === value);
  if (state !== undefined) return state;
  throw new ProblemError(
    422,
    'ERR_INVALID_VALUE',
    `"state" must be one of ${ADMIN_STATES.join(', ')}.`,
    typeof value === 'string' ? didYouMean(value, ADMIN_STATES) : {},
  );
}

function readId(value: unknown): number {
  if (Number.isSafeInteger(value) && Number(value) >= 0) return Number(value);
  throw new ProblemError(422, 'ERR_INVALID_VALUE', '"id" must be a whole number, such as 3.');
}

function readUpdate(body: Buffer): BackendUpdate {
  const object = parseObject(body, backendChange);
  const update: { -readonly [Key in keyof BackendUpdate]: BackendUpdate[Key] } = {};
  if (object['weight'] !== undefined) update.weight = readWeight(object['weight']);
  if (object['backup'] !== undefined) update.isBackup = readBackup(object['backup']);
  if (object['state'] !== undefined) update.state = readState(object['state']);
  if (Object.keys(update).length > 0) return update;
  throw new ProblemError(
    422,
    'ERR_INVALID_VALUE',
    'Nothing to change: give "weight", "state" or "backup".',
  );
}
