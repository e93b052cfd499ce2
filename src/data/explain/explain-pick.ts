/** Whom a request would be given to: what pick.ts does for a first attempt, looked at and not done. */
import type { ErrorCode } from '../../errors.ts';
import type {
  Draw,
  ExplainedCandidate,
  ExplainedPick,
  Refused,
} from '../../snapshot/explanation.ts';
import type { Backend } from '../backend/backend.ts';
import type { PoolView } from '../pool/pool-view.ts';
import type { IncomingRequest } from '../relay/incoming-request.ts';
import { type Foreseen, foresee, type Picker } from '../relay/pick.ts';
import { unserved } from '../relay/unserved.ts';

/** As many backends as anybody looks at; those that may be picked come first. */
const MOST_CANDIDATES = 200;

/** @param nowMs on the process clock */
export function explainPick(request: IncomingRequest, nowMs: number): ExplainedPick {
  const { pool } = request;
  const { view, queue, counters } = pool;
  const draws: Draw[] = [];
  const picker: Picker = {
    request,
    tries: null,
    current: null,
    beginning: null,
    drainingKeeper: null,
    keeper: null,
    bindsSession: false,
    hasTurn: false,
    isAnyFull: false,
    draws,
  };
  const foreseen = foresee(picker, view);
  const { backend, chosen, full } = foreseen;
  const hasQueue = view.spec.queue.size > 0;
  const error = counters.isGateOpen ? errorOf(foreseen) : 'ERR_CIRCUIT_OPEN';
  const isFull = error === 'ERR_BACKENDS_FULL' || (error === null && hasQueue && queue.hasLine);
  const waits = isFull && hasQueue;
  const isAnyFull = full.some((one) => one.counters.isGateOpen);
  return {
    poolId: pool.id,
    key: keyOf(request, view),
    session: sessionOf(request, view, picker.bindsSession),
    draws,
    chosen,
    full: full.map(({ id }) => id),
    backendId: backend?.id ?? null,
    waits,
    unserved: error === null || waits ? null : whyUnserved(error, isAnyFull, request, nowMs),
    candidates: candidatesOf(view, backend),
  };
}

function errorOf({ backend, full }: Foreseen): ErrorCode | null {
  if (backend !== null) return null;
  return full.length > 0 ? 'ERR_BACKENDS_FULL' : 'ERR_NO_BACKEND';
}

function whyUnserved(
  error: ErrorCode,
  isAnyFull: boolean,
  { pool }: IncomingRequest,
  nowMs: number,
): Refused {
  const { code, detail } = unserved(error, isAnyFull, pool, nowMs);
  return { code, detail };
}

function keyOf(request: IncomingRequest, { spec }: PoolView): ExplainedPick['key'] {
  const value = request.keys?.hash ?? request.clientAddress;
  if (spec.strategy === 'ip-hash') return { by: 'ip', name: '', value };
  if (spec.strategy !== 'consistent-hash') return null;
  const { by, name } = spec.hashKey;
  // Who lacks the part is taken by its address.
  return value === request.clientAddress ? { by: 'ip', name: '', value } : { by, name, value };
}

function sessionOf(
  { keys }: IncomingRequest,
  { sessions }: PoolView,
  begins: boolean,
): ExplainedPick['session'] {
  if (sessions === null) return null;
  const key = keys?.session ?? null;
  return { key, backendId: sessions.peek(key)?.id ?? null, begins };
}

function candidatesOf(view: PoolView, picked: Backend | null): ExplainedCandidate[] {
  const { eligible, spares, keepers, backends } = view;
  const all = new Set([...eligible, ...spares, ...keepers, ...backends.values()]);
  const shown = [...all].slice(0, MOST_CANDIDATES);
  if (picked !== null && !shown.includes(picked)) shown[MOST_CANDIDATES - 1] = picked;
  const isEligible = new Set(eligible);
  return shown.map((backend) => candidateOf(backend, view, isEligible.has(backend)));
}

function candidateOf(backend: Backend, view: PoolView, isEligible: boolean): ExplainedCandidate {
  const { spec, strategy, spares, keepers } = view;
  const { id, weight, inFlight } = backend;
  return {
    id,
    role: isEligible
      ? 'eligible'
      : spares.includes(backend)
        ? 'spare'
        : keepers.includes(backend)
          ? 'keeper'
          : 'none',
    weight: isEligible ? weight : 0,
    inFlight,
    hasRoom: backend.hasRoom(spec.maxRequests, spec.maxConnections),
    cost: isEligible ? (strategy.costOf?.(backend) ?? null) : null,
  };
}
