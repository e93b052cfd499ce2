/** Strategy by name. A new strategy joins here, in `STRATEGY_NAMES`, and gets the shared cases by that. */
import type { StrategyName } from '../../snapshot/snapshot.ts';
import { LeastConnections } from './least-connections.ts';
import { RoundRobin } from './round-robin.ts';
import type { Candidate, Strategy, StrategyContext } from './strategy.ts';

export function createStrategy<C extends Candidate>(
  name: StrategyName,
  context: StrategyContext,
): Strategy<C> {
  switch (name) {
    case 'round-robin':
      return new RoundRobin<C>(context);
    case 'least-connections':
      return new LeastConnections<C>(context);
    default:
      throw new Error(`not built yet: ${name}`);
  }
}
