/** An explanation as the admin API shows it: what a data thread has found out, with what the control plane knows of it. */
import { durationOf } from '../config/effective/effective-pool.ts';
import { ERRORS } from '../errors.ts';
import type {
  Draw,
  ExplainedCandidate,
  ExplainedPick,
  Explanation,
  Refused,
} from '../snapshot/explanation.ts';
import type { PoolTimeouts, RateLimit } from '../snapshot/policies.ts';
import { viewBackends } from './backend-view.ts';
import type { PoolRegistry } from './pool-registry.ts';
import type { Registry } from './registry.ts';

/** The field names are an interface: see docs. */
export function viewExplanation(
  explanation: Explanation,
  registry: Registry,
  threadCount: number,
): object {
  const { refused, refusedByRoute, request, answer, forwards, mirror, pick, policies } =
    explanation;
  const pool = pick === null ? undefined : poolOf(registry, pick.poolId);
  return {
    summary: summaryOf(explanation, pool),
    thread: explanation.thread,
    client: request?.clientAddress ?? null,
    client_is_trusted_proxy: request?.isTrusted ?? false,
    path: request?.path ?? null,
    route: explanation.route,
    part: explanation.part,
    routes: explanation.trials.map(({ route, why }) => ({
      name: route,
      matches: why === null,
      why: why ?? (gets(route, explanation) ? 'it gets the request' : 'another comes before it'),
    })),
    routes_left_out: explanation.trialsLeftOut,
    answer: viewAnswer(refused ?? refusedByRoute ?? pick?.unserved ?? null, answer),
    needs_login: explanation.needsLogin,
    forwards,
    mirror:
      mirror === null
        ? null
        : { pool: poolOf(registry, mirror.poolId)?.name ?? null, is_next: mirror.isNext },
    policies:
      policies === null
        ? null
        : {
            timeouts: timeoutsOf(policies.timeouts),
            attempts: policies.retries.attempts,
            retries_on_status: policies.retries.onStatus,
            hedge_after: durationOf(policies.retries.hedgeAfterMs) ?? false,
            body_bytes: policies.bodyBytes === 0 ? null : policies.bodyBytes,
            rate_limit: rateLimitOf(policies.rateLimit),
          },
    pool: pick === null || pool === undefined ? null : viewPick(pick, pool, threadCount),
  };
}

/** Without routes in the config there is none to name: all goes to the pool that stands alone among the trials. */
function gets(trial: string, { route }: Explanation): boolean {
  return route === null || route === trial;
}

function poolOf(registry: Registry, id: number): PoolRegistry | undefined {
  return registry.pools().find((pool) => pool.id === id);
}

function viewAnswer(error: Refused | null, answer: Explanation['answer']): object | null {
  if (error !== null) {
    const { status, message } = ERRORS[error.code];
    const { code, detail } = error;
    return { status, code, detail: detail === '' ? message : detail, location: null };
  }
  return answer === null ? null : { ...answer, code: null, detail: 'what its route answers' };
}

function timeoutsOf(timeouts: PoolTimeouts): Record<string, string | false> {
  const names = {
    connect: timeouts.connectMs,
    response: timeouts.responseMs,
    idle: timeouts.idleMs,
    total: timeouts.totalMs,
  };
  return Object.fromEntries(
    Object.entries(names).map(([name, ms]) => [name, durationOf(ms) ?? false]),
  );
}

function rateLimitOf(limit: RateLimit | null): object | null {
  if (limit === null) return null;
  const { key, rate, perMs, burst, scope = 'local' } = limit;
  return {
    scope,
    rate,
    per: durationOf(perMs),
    burst,
    by: key.name === '' ? key.by : `${key.by} ${key.name}`,
  };
}

function viewPick(pick: ExplainedPick, pool: PoolRegistry, threadCount: number): object {
  const { key, session, draws, chosen, full, backendId, waits, candidates } = pick;
  const views = new Map(viewBackends(pool, threadCount).map((view) => [view.id, view]));
  const url = (id: number | null): string | null =>
    id === null ? null : (views.get(id)?.url ?? null);
  return {
    name: pool.name,
    strategy: pool.strategy,
    key,
    session:
      session === null
        ? null
        : { key: session.key, backend: session.backendId, begins: session.begins },
    backend: backendId === null ? null : { id: backendId, url: url(backendId) },
    chosen_by: chosen,
    draws: draws.map(viewDraw),
    passed_over: full,
    waits,
    candidates: candidates.map((one) => viewCandidate(one, views.get(one.id), backendId)),
    candidates_left_out: Math.max(0, views.size - candidates.length),
  };
}

function viewCandidate(
  { id, role, weight, inFlight, hasRoom, cost }: ExplainedCandidate,
  view: ReturnType<typeof viewBackends>[number] | undefined,
  picked: number | null,
): object {
  return {
    id,
    url: view?.url ?? null,
    picked: id === picked,
    role,
    weight,
    in_flight: inFlight,
    latency_ms: view?.latency_ms ?? null,
    has_room: hasRoom,
    cost: cost === null || cost > Number.MAX_SAFE_INTEGER ? null : Math.round(cost * 1000) / 1000,
    state: view?.state ?? null,
    health: view?.health ?? null,
    why: view?.why ?? null,
  };
}

function viewDraw(draw: Draw): object {
  const why = inWords(draw);
  return draw.by === 'hash' ? { ...draw, hash: draw.hash >>> 0, why } : { ...draw, why };
}

function inWords(draw: Draw): string {
  switch (draw.by) {
    case 'turn':
      return `turn ${draw.turn} of a cycle of ${draw.of}`;
    case 'further turn':
      return 'the next in turn among the others';
    case 'hash':
      return draw.overflowed.length === 0
        ? `the first for the hash ${draw.hash >>> 0} of the key`
        : `backend ${draw.overflowed.join(', ')} is the first for the hash ${draw.hash >>> 0} of the key, and has too much to do`;
    case 'least':
      return draw.least.length === 1
        ? 'it costs least'
        : `by chance, among ${draw.least.length} that cost least: ${draw.least.join(', ')}`;
    case 'two':
      return `the cheaper of two that chance has drawn: ${draw.drawn.join(' and ')}`;
  }
}

function summaryOf(explanation: Explanation, pool: PoolRegistry | undefined): string {
  const { refused, refusedByRoute, answer, pick, route, part } = explanation;
  if (refused !== null) return `refused before any route: ${errorInWords(refused)}`;
  const by = route === null ? '' : `route ${route}: `;
  if (refusedByRoute !== null) return `${by}${errorInWords(refusedByRoute)}`;
  if (answer !== null) {
    const to = answer.location === null ? '' : ` to ${answer.location}`;
    return `${by}answered with ${answer.status}${to}`;
  }
  if (pick === null || pool === undefined) return `${by}nothing`;
  const where = `${by}pool ${pool.name}${part === null ? '' : ` (${part})`}`;
  if (pick.unserved !== null) return `${where}: ${errorInWords(pick.unserved)}`;
  if (pick.waits) return `${where}: it waits in the queue for a backend with room`;
  const url = pool.backends().find(({ id }) => id === pick.backendId)?.address.url ?? '';
  const how = pick.draws.at(-1);
  const reason =
    pick.chosen === 'strategy' && how !== undefined
      ? `${pool.strategy}, ${inWords(how)}`
      : `by its ${pick.chosen}`;
  return `${where}: backend ${pick.backendId} ${url} (${reason})`;
}

function errorInWords({ code, detail }: Refused): string {
  const { status, message } = ERRORS[code];
  return `${status} ${code}: ${detail === '' ? message : detail}`;
}
