/** What choosing a backend costs, without any socket. Every strategy of the registry takes part. */
import { median } from '../statistics.mjs';
import { countedRounds } from './counted.mjs';

/** @satisfies {import('../bench.mjs').Scenario} */
export const pick = {
  name: 'pick',
  title: 'Picking a backend',
  about:
    'A pick by each strategy among 3, 100 and 1,000 backends (the latter of uneven weights), none of them idle: time, and bytes of heap over a million picks without a collection. Flip: the time for which a thread stands still when one backend leaves or comes back.',
  peers: [],
  quickPeers: [],
  estimate: ({ options }) => options.rounds * 12,

  async run(context) {
    const rounds = await countedRounds(context, 'pick');
    const rows = rounds[0].map(({ strategy, backends }, index) => ({
      name: `${strategy}, ${backends}`,
      strategy,
      backends,
      ns: median(rounds.map((round) => round[index].ns)),
      bytes: median(rounds.map((round) => round[index].bytes)),
      flipMs: median(rounds.map((round) => round[index].flipMs)),
    }));
    return { columns: COLUMNS, rows, notes: [] };
  },
};

const COLUMNS = [
  { key: 'strategy', title: 'strategy' },
  { key: 'backends', title: 'backends', digits: 0 },
  { key: 'ns', title: 'ns per pick', digits: 0 },
  { key: 'bytes', title: 'bytes per pick', digits: 2 },
  { key: 'flipMs', title: 'ms per flip', digits: 2 },
];
