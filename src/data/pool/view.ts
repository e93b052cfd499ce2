/**
 * A snapshot made ready for use by one data thread: its pools, address blocks compiled. What a request needs of its pool stands
 * in pool-view.ts.
 */
import net from 'node:net';
import type { PoolSnapshot, Snapshot } from '../../snapshot/snapshot.ts';
import type { Backend } from '../backend/backend.ts';
import type { ForwardRules } from '../wire/forward-request.ts';
import { type AllHeadLimits, type CommonRules, commonRules } from './common-rules.ts';
import type { Pool } from './pool.ts';
import { createPoolView, type PoolView, type PoolViewParts } from './pool-view.ts';
import { createRouter, type Router } from './router.ts';
import type { TargetParts } from './target.ts';

export interface View {
  readonly snapshot: Snapshot;
  readonly pools: ReadonlyMap<number, Pool>;
  readonly defaultPool: Pool;
  /** Null: all requests go to the default pool. */
  readonly router: Router | null;
  /** Of all pools. */
  readonly backends: ReadonlyMap<number, Backend>;
  readonly trustedProxies: net.BlockList | null;
  readonly rules: CommonRules;
  readonly headLimits: AllHeadLimits;
  readonly forwardRules: ForwardRules;
}

/** What views are built from, beside their snapshots. */
export interface ViewParts extends PoolViewParts {
  readonly createPool: (spec: PoolSnapshot) => Pool;
  readonly threadIndex: number;
}

/**
 * Builds the view of `snapshot`, taking over pools and backends of `previous` that are still in it, and all that has not changed, which
 * is the same object in both snapshots; and puts the views of its pools in force. Backends that are gone are told so by the caller, once the new view is in use. Pools that are gone stay as they were:
 * what waits or is under way there is still for their backends, and nothing new comes.
 */
export function createView(snapshot: Snapshot, previous: View | null, parts: ViewParts): View {
  const { forwarding } = snapshot;
  const rules = commonRules(snapshot, previous?.rules ?? null);
  const pools = new Map<number, Pool>();
  const poolViews = new Map<number, PoolView>();
  for (const spec of snapshot.pools) {
    const known = previous?.pools.get(spec.id);
    const pool = known ?? parts.createPool(spec);
    const view = createPoolView(rules, spec, pool, known?.view ?? null, parts);
    pools.set(spec.id, pool);
    poolViews.set(spec.id, view);
  }
  const [first] = pools.values();
  if (first === undefined) throw new Error('a snapshot without a pool');
  const targetParts: TargetParts = {
    pools,
    views: poolViews,
    rates: parts.rates,
    instances: snapshot.instances,
    threadIndex: parts.threadIndex,
    random: parts.strategyContext.random,
    pathRules: snapshot.paths,
    sendsXForwarded: forwarding.sendXForwarded,
    haveBasePaths: snapshot.pools.some(({ hasBasePaths }) => hasBasePaths),
  };
  const backends = backendsOf(poolViews, previous);
  const matchTheSame = previous?.snapshot.matching === snapshot.matching;
  const router = createRouter(snapshot.routes, targetParts, previous?.router ?? null, matchTheSame);
  const isForwardedTheSame = previous?.snapshot.forwarding === forwarding;
  // Nothing can fail from here on.
  for (const pool of pools.values()) pool.swapView(poolViews.get(pool.id) as PoolView);
  return {
    snapshot,
    pools,
    defaultPool: first,
    router,
    backends,
    rules,
    headLimits: rules.headLimits,
    trustedProxies: isForwardedTheSame
      ? previous.trustedProxies
      : compileBlocks(forwarding.trustedProxies),
    forwardRules: isForwardedTheSame ? previous.forwardRules : forwardRulesOf(snapshot),
  };
}

/** Of all pools; the same map, where they are the same. */
function backendsOf(
  views: ReadonlyMap<number, PoolView>,
  previous: View | null,
): ReadonlyMap<number, Backend> {
  if (previous !== null && haveSameBackends(views, previous)) return previous.backends;
  const backends = new Map<number, Backend>();
  for (const view of views.values()) {
    for (const [id, backend] of view.backends) backends.set(id, backend);
  }
  return backends;
}

/** Called before the views are in force. */
function haveSameBackends(
  views: ReadonlyMap<number, PoolView>,
  { pools, backends }: View,
): boolean {
  if (views.size !== pools.size) return false;
  for (const [id, view] of views) {
    const before = pools.get(id)?.view;
    if (before === view) continue;
    if (before?.backends.size !== view.backends.size) return false;
    for (const [backendId, backend] of view.backends) {
      if (backends.get(backendId) !== backend || !before.backends.has(backendId)) return false;
    }
  }
  return true;
}

function forwardRulesOf({ forwarding, instanceName }: Snapshot): ForwardRules {
  return {
    sendsXForwarded: forwarding.sendXForwarded,
    sendsForwarded: forwarding.sendForwarded,
    viaName: forwarding.sendVia ? instanceName : '',
    upgrades: forwarding.upgrades,
    rewritesLocation: forwarding.rewritesLocation,
  };
}

/** CIDR blocks; null: there are none. */
export function compileBlocks(blocks: readonly string[]): net.BlockList | null {
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
