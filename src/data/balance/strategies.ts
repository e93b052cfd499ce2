/** Strategy by name. A new strategy joins here, in `STRATEGY_NAMES`, and gets the shared cases by that. */
import type { StrategyName } from '../../snapshot/snapshot.ts';
import { ConsistentHash } from './consistent-hash.ts';
import { IpHash } from './ip-hash.ts';
import { LeastConnections } from './least-connections.ts';
import { PeakEwma } from './peak-ewma.ts';
import { RandomTwo } from './random-two.ts';
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
    case 'random-two':
      return new RandomTwo<C>(context);
    case 'peak-ewma':
      return new PeakEwma<C>(context);
    case 'ip-hash':
      return new IpHash<C>();
    case 'consistent-hash':
      return new ConsistentHash<C>();
  }
}
