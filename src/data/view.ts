/**
 * A snapshot made ready for use by one data thread: live backends in place of their descriptions, the strategy built,
 * address blocks compiled. An exchange keeps the view that it began on until it ends.
 */
import net from 'node:net';
import type { BackendSnapshot, Eligibility, Snapshot } from '../snapshot/snapshot.ts';
import type { Backend } from './backend/backend.ts';
import { createStrategy } from './balance/strategies.ts';
import type { Strategy, StrategyContext } from './balance/strategy.ts';
import type { HeadLimits } from './wire/head-parser.ts';

export interface View {
  readonly snapshot: Snapshot;
  readonly backends: ReadonlyMap<number, Backend>;
  readonly strategy: Strategy<Backend>;
  /** What the strategy picks from. Replaced as a whole when it changes. */
  eligible: readonly Backend[];
  readonly trustedProxies: net.BlockList | null;
  readonly headLimits: HeadLimits;
}

/**
 * Builds the view of `snapshot`, taking over the backends of `previous` that are still in it. Backends that are gone are
 * told so by the caller, once the new view is in use.
 */
export function createView(
  snapshot: Snapshot,
  previous: View | null,
  strategyContext: StrategyContext,
  createBackend: (spec: BackendSnapshot) => Backend,
): View {
  const backends = new Map<number, Backend>();
  for (const spec of snapshot.pool.backends) {
    const known = previous?.backends.get(spec.id);
    known?.update(spec);
    backends.set(spec.id, known ?? createBackend(spec));
  }
  const isSameStrategy = previous?.snapshot.pool.strategy === snapshot.pool.strategy;
  const strategy =
    previous !== null && isSameStrategy
      ? previous.strategy
      : createStrategy<Backend>(snapshot.pool.strategy, strategyContext);
  const { limits } = snapshot;
  const view: View = {
    snapshot,
    backends,
    strategy,
    eligible: [],
    trustedProxies: compileBlocks(snapshot.forwarding.trustedProxies),
    headLimits: {
      requestLineBytes: limits.requestLineBytes,
      headBytes: limits.headBytes,
      fields: limits.fields,
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
  view.strategy.rebuild(picks);
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
