/**
 * A snapshot made ready for use by one data thread: live backends in place of their descriptions, the strategy built,
 * address blocks compiled. An exchange keeps the view that it began on until it ends.
 */
import net from 'node:net';
import type { ClientTables } from '../../snapshot/messages.ts';
import type { BackendSnapshot, Eligibility, Snapshot, Sticky } from '../../snapshot/snapshot.ts';
import type { Backend } from '../backend/backend.ts';
import { CookieLearner, EngineIoLearner } from '../balance/learned-sessions.ts';
import { SessionTable } from '../balance/session-table.ts';
import { CookieSessions, type Sessions, TableSessions } from '../balance/stickiness.ts';
import { createStrategy } from '../balance/strategies.ts';
import type { Strategy, StrategyContext } from '../balance/strategy.ts';
import { RateLimiter } from '../limit/rate-limit.ts';
import type { ForwardRules } from '../wire/forward-request.ts';
import type { HeadLimits } from '../wire/head-parser.ts';
import { needsKeys } from './request-keys.ts';

export interface View {
  readonly snapshot: Snapshot;
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
  readonly rateLimiter: RateLimiter | null;
  /** What the policies go by has to be read from each request. */
  readonly needsKeys: boolean;
  /** A field line for every response while too few backends are eligible; else empty. Changes with `eligible`. */
  panicLine: string;
  readonly trustedProxies: net.BlockList | null;
  readonly headLimits: HeadLimits;
  /** The same for what backends answer. */
  readonly responseLimits: HeadLimits;
  readonly forwardRules: ForwardRules;
}

/** What views are built from, beside their snapshots. */
export interface ViewParts {
  readonly strategyContext: StrategyContext;
  readonly createBackend: (spec: BackendSnapshot) => Backend;
  readonly clientTables: ClientTables;
  /** The clock that all threads share, in ms. */
  readonly processNowMs: () => number;
  readonly onSessionEvicted: () => void;
  readonly onRateEvicted: () => void;
}

const PANIC_LINE = 'Proxy-Status: fairlead; details="panic: too few backends are eligible"\r\n';

/**
 * Builds the view of `snapshot`, taking over the backends of `previous` that are still in it. Backends that are gone are
 * told so by the caller, once the new view is in use.
 */
export function createView(snapshot: Snapshot, previous: View | null, parts: ViewParts): View {
  const backends = new Map<number, Backend>();
  for (const spec of snapshot.pool.backends) {
    const known = previous?.backends.get(spec.id);
    known?.update(spec);
    backends.set(spec.id, known ?? parts.createBackend(spec));
  }
  const isSameStrategy = previous?.snapshot.pool.strategy === snapshot.pool.strategy;
  const strategy =
    previous !== null && isSameStrategy
      ? previous.strategy
      : createStrategy<Backend>(snapshot.pool.strategy, parts.strategyContext);
  const { limits, pool, forwarding } = snapshot;
  const headLimits: HeadLimits = {
    requestLineBytes: limits.requestLineBytes,
    headBytes: limits.headBytes,
    fields: limits.fields,
    isLenient: false,
  };
  const view: View = {
    snapshot,
    backends,
    strategy,
    eligible: [],
    spares: [],
    keepers: [],
    draining: [],
    hint: '',
    sessions: pool.sticky === null ? null : createSessions(pool.sticky, parts),
    rateLimiter:
      pool.rateLimit === null
        ? null
        : new RateLimiter(pool.rateLimit, parts.clientTables.rates, parts.onRateEvicted),
    needsKeys: needsKeys(pool),
    panicLine: '',
    trustedProxies: compileBlocks(forwarding.trustedProxies),
    headLimits,
    responseLimits: { ...headLimits, isLenient: pool.hasLenientResponses },
    forwardRules: {
      sendsXForwarded: forwarding.sendXForwarded,
      sendsForwarded: forwarding.sendForwarded,
      viaName: forwarding.sendVia ? snapshot.instanceName : '',
      upgrades: forwarding.upgrades,
      rewritesLocation: forwarding.rewritesLocation,
      dropsHost: forwarding.hostHeader.kind !== 'client',
    },
  };
  setEligible(view, snapshot.pool.eligibility);
  return view;
}

/** Rebuilds the strategy over exactly these backends; ids that the view does not know are skipped. */
export function setEligible(view: View, eligibility: Eligibility): void {
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

function backendsOf({ backends }: View, ids: readonly number[]): readonly Backend[] {
  return ids.flatMap((id) => backends.get(id) ?? []);
}

function createSessions(sticky: Sticky, parts: ViewParts): Sessions<Backend> {
  if (sticky.cookie !== null) return new CookieSessions(sticky, sticky.cookie);
  const { clientTables, processNowMs, onSessionEvicted } = parts;
  const memory = clientTables.sessions;
  const table = new SessionTable<Backend>(memory, sticky.ttlMs, processNowMs, onSessionEvicted);
  if (sticky.learns === 'cookie') return new CookieLearner(sticky, table, Date.now);
  return sticky.learns === 'socket.io' ? new EngineIoLearner(table) : new TableSessions(table);
}

function compileBlocks(blocks: readonly string[]): net.BlockList | null {
  if (blocks.length === 0) return null;
  const list = new net.BlockList();
  for (const block of blocks) {
    const [address = '', prefix] = block.split('/');
    const family = net.isIPv6(address) ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}
