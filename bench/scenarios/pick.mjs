/** What choosing a backend costs, without any socket. Every strategy of the registry takes part. */
import { fileURLToPath } from 'node:url';
import { median } from '../statistics.mjs';

const PROGRAM = fileURLToPath(new URL('../clients/pick.mjs', import.meta.url));

/** @satisfies {import('../bench.mjs').Scenario} */
export const pick = {
  name: 'pick',
  title: 'Picking a backend',
  about:
    'A pick by each strategy among 3, 100 and 1,000 backends (the latter of uneven weights), none of them idle: time, and bytes of heap over a million picks without a collection. Flip: the time for which a thread stands still when one backend leaves or comes back.',
  peers: [],
  quickPeers: [],
  estimate: ({ options }) => options.rounds * 12,

  async run({ stage, options }) {
    const rounds = [];
    for (let round = 0; round < options.rounds; round++) {
      const { status, output } = await stage.run(options.node, [
        '--expose-gc',
        // Room for a million picks that allocate: none of it is collected before it is counted.
        '--min-semi-space-size=256',
        '--max-semi-space-size=256',
        PROGRAM,
      ]);
      if (status !== 0) throw new Error(`picking failed: ${output.trim()}`);
      rounds.push(JSON.parse(output));
    }
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
