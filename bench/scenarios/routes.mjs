/** What finding the route of a request costs, without any socket. */
import { median } from '../statistics.mjs';
import { countedRounds } from './counted.mjs';

/** @satisfies {import('../bench.mjs').Scenario} */
export const routes = {
  name: 'routes',
  title: 'Finding a route',
  about:
    'A look-up in tables of one host and of 1,000, each with the same ten routes (prefixes, exact paths, a pattern, methods, a header, a query parameter), and of one host with 1,000: time, and bytes of heap over a million look-ups without a collection. Normal: with the path brought into its normal form before.',
  peers: [],
  quickPeers: [],
  estimate: ({ options }) => options.rounds * 5,

  async run(context) {
    const rounds = await countedRounds(context, 'routes');
    const middle = (index, key) => median(rounds.map((round) => round[index][key]));
    const rows = rounds[0].map(({ hosts, routes: count }, index) => ({
      name: `${hosts} × ${count}`,
      hosts,
      routes: count,
      ns: middle(index, 'ns'),
      bytes: middle(index, 'bytes'),
      normalNs: middle(index, 'normalNs'),
      compileMs: middle(index, 'compileMs'),
    }));
    return { columns: COLUMNS, rows, notes: [] };
  },
};

const COLUMNS = [
  { key: 'hosts', title: 'hosts', digits: 0 },
  { key: 'routes', title: 'routes each', digits: 0 },
  { key: 'ns', title: 'ns per look-up', digits: 0 },
  { key: 'bytes', title: 'bytes per look-up', digits: 2 },
  { key: 'normalNs', title: 'ns, normal', digits: 0 },
  { key: 'compileMs', title: 'ms to compile', digits: 1 },
];
