/**
 * One pool of a snapshot made ready for use by a data thread: live backends in place of their descriptions, the strategy
 * built. An attempt keeps the view that it began on until it ends.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ClientTables } from '../../snapshot/messages.ts';
import type { PoolCounters } from '../../snapshot/pool-counters.ts';
import type { BackendSnapshot, PoolSnapshot, Sticky } from '../../snapshot/snapshot.ts';
import type { Backend } from '../backend/backend.ts';
import { CookieLearner, EngineIoLearner } from '../balance/learned-sessions.ts';
import type { SessionAsks } from '../balance/session-asks.ts';
import { SessionTable } from '../balance/session-table.ts';
import { SharedSessionTable } from '../balance/shared-session-table.ts';
import { CookieSessions, type Sessions, TableSessions } from '../balance/stickiness.ts';
import { createStrategy } from '../balance/strategies.ts';
import type { Strategy, StrategyContext } from '../balance/strategy.ts';
import { type ClientTerms, clientTerms } from '../stream/client-terms.ts';
import type { HeadLimits } from '../wire/head-parser.ts';
import type { CommonRules } from './common-rules.ts';
import { type Policies, poolPolicies, type RateParts } from './policies.ts';

export interface PoolView {
  readonly rules: CommonRules;
  /** This pool's part of the snapshot. Changes with `eligible`, so that it is known again: see `createPoolView`. */
  spec: PoolSnapshot;
  /** Of TLS to its backends, and what is spoken there. */
  readonly terms: ClientTerms;
  readonly backends: ReadonlyMap<number, Backend>;
  readonly strategy: Strategy<Backend>;
  /** What the strategy picks from. Replaced as a whole when it changes. */
  eligible: readonly Backend[];
  /** See `Eligibility.spares`. Changes with `eligible`. */
  spares: readonly Backend[];
  /** Those that keep whom they have: the eligible and others. Changes with `eligible`. */
  keepers: readonly Backend[];
  /** See `Eligibility.draining`. Changes with `eligible`. */
  draining: readonly Backend[];
  /** See `Eligibility.hint`. Changes with `eligible`. */
  hint: string;
  readonly sessions: Sessions<Backend> | null;
  /** Of requests whose route has none of its own. */
  readonly policies: Policies;
  /** A field line for every response while too few backends are eligible; else empty. Changes with `eligible`. */
  panicLine: string;
}

/** What stays of a pool from one view of it to the next: see pool.ts. */
interface LivePool {
  readonly id: number;
  readonly counters: PoolCounters;
}

/** What the views of pools are built from, beside their snapshots. */
export interface PoolViewParts {
  /** All but the turns, which are the pool's. */
  readonly strategyContext: Omit<StrategyContext, 'nextTurn' | 'comingTurn'>;
  /** @param headLimits of its answers */
  readonly createBackend: (
    spec: BackendSnapshot,
    headLimits: HeadLimits,
    terms: ClientTerms,
  ) => Backend;
  readonly clientTables: ClientTables;
  readonly sessionAsks: SessionAsks;
  readonly rates: RateParts;
  /** The clock that all threads share, in ms. */
  readonly processNowMs: () => number;
}

const PANIC_LINE = 'Proxy-Status: fairlead; details="panic: too few backends are eligible"\r\n';

/**
 * The view of a pool, taking over the backends of `previous` that are still in it; that very view, if nothing is different. What
 * messages have said of its eligibility is in `spec`.
 */
export function createPoolView(
  rules: CommonRules,
  spec: PoolSnapshot,
  pool: LivePool,
  previous: PoolView | null,
  parts: PoolViewParts,
): PoolView {
  if (previous?.spec === spec && previous.rules === rules) return previous;
  const { headLimits, limits, instances } = rules;
  const responseLimits = spec.hasLenientResponses
    ? headLimits.lenientResponse
    : headLimits.response;
  const terms = termsOf(spec, previous);
  const backends = new Map<number, Backend>();
  for (const backendSpec of spec.backends) {
    const known = previous?.backends.get(backendSpec.id);
    known?.update(backendSpec, responseLimits, terms);
    backends.set(backendSpec.id, known ?? parts.createBackend(backendSpec, responseLimits, terms));
  }
  const isSameStrategy = previous?.spec.strategy === spec.strategy;
  const { counters } = pool;
  const strategy =
    previous !== null && isSameStrategy
      ? previous.strategy
      : createStrategy<Backend>(spec.strategy, {
          ...parts.strategyContext,
          nextTurn: () => counters.nextTurn(),
          comingTurn: () => counters.comingTurn(),
        });
  const view: PoolView = {
    rules,
    spec,
    terms,
    backends,
    strategy,
    eligible: [],
    spares: [],
    keepers: [],
    draining: [],
    hint: '',
    sessions: spec.sticky === null ? null : createSessions(spec.sticky, spec.name, pool, parts),
    policies: poolPolicies(spec, limits.bodyBytes, {
      ...parts.rates,
      instances,
      onEvicted: () => counters.rateEvicted(),
      onAlone: () => counters.rateDecidedAlone(),
    }),
    panicLine: '',
  };
  setEligible(view, spec);
  return view;
}

/** The same as before, if they say the same: then connections and sessions stay in use. */
function termsOf({ tls, protocol }: PoolSnapshot, previous: PoolView | null): ClientTerms {
  const isSame = previous?.spec.protocol === protocol && isDeepStrictEqual(previous.spec.tls, tls);
  return isSame ? previous.terms : clientTerms(tls, protocol);
}

/**
 * Rebuilds the strategy over exactly the backends that are eligible there; ids that the view does not know are skipped.
 * @param spec the view's own, but for the eligibility.
 */
export function setEligible(view: PoolView, spec: PoolSnapshot): void {
  const { eligibility } = spec;
  view.spec = spec;
  const picks: Backend[] = [];
  for (const { id, weight } of eligibility.picks) {
    const backend = view.backends.get(id);
    if (backend === undefined) continue;
    backend.weight = weight;
    picks.push(backend);
  }
  view.eligible = picks;
  view.spares = backendsOf(view, eligibility.spares);
  view.keepers = backendsOf(view, eligibility.keeps);
  view.draining = backendsOf(view, eligibility.draining);
  view.hint = eligibility.hint;
  view.panicLine = eligibility.isPanic ? PANIC_LINE : '';
  view.strategy.rebuild(picks);
  if (view.sessions === null) return;
  view.sessions.rebuild(picks, view.keepers);
}

function backendsOf({ backends }: PoolView, ids: readonly number[]): readonly Backend[] {
  return ids.flatMap((id) => backends.get(id) ?? []);
}

function createSessions(
  sticky: Sticky,
  owner: string,
  pool: LivePool,
  parts: PoolViewParts,
): Sessions<Backend> {
  if (sticky.cookie !== null) return new CookieSessions(sticky, sticky.cookie);
  const table = createTable(sticky, owner, pool, parts);
  if (sticky.learns === 'cookie') return new CookieLearner(sticky, table, Date.now);
  return sticky.learns === 'socket.io' ? new EngineIoLearner(table) : new TableSessions(table);
}

function createTable(
  { key, ttlMs, isShared }: Sticky,
  name: string,
  { counters }: LivePool,
  { clientTables, processNowMs, sessionAsks }: PoolViewParts,
): SessionTable<Backend> {
  const onEvicted = (): void => counters.sessionEvicted();
  const options = { memory: clientTables.sessions, owner: name, ttlMs };
  if (!isShared) return new SessionTable(options, processNowMs, onEvicted);
  // For all instances: what clients were known by before says nothing.
  const owner = `${name} ${JSON.stringify(key)}`;
  return new SharedSessionTable({ ...options, owner }, processNowMs, onEvicted, sessionAsks);
}
