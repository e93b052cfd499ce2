/** Fairlead with one data thread and with two: what sharing costs a request. */
import { Skipped } from '../bench.mjs';
import { wrk } from '../load.mjs';
import { proxyCores } from '../stage.mjs';
import { loadedSeconds, measureLoaded } from './loaded.mjs';

/** @satisfies {import('../bench.mjs').Scenario} */
export const threads = {
  name: 'threads',
  title: '1 and 2 data threads',
  about: 'Small GET through one data thread and through two.',
  peers: [],
  estimate: (bench) => 2 * loadedSeconds(bench, ['fairlead']),

  async run(bench) {
    const [major, minor] = bench.node.split('.').map(Number);
    if (major < 22 || (major === 22 && minor < 12)) {
      throw new Skipped(
        `two data threads need Node 22.12 or later, and this is ${bench.node}: --node PATH`,
      );
    }
    const contestants = [1, 2].map((count) => ({
      name: `fairlead, ${count} ${count === 1 ? 'thread' : 'threads'}`,
      peer: 'fairlead',
      task: { backends: bench.backend.ports.slice(0, 1), threads: count },
    }));
    const outcome = await measureLoaded(bench, contestants, ({ stage, options }, target) =>
      wrk(stage, { ...target, connections: options.connections }),
    );
    if (proxyCores(2).length === 2) return outcome;
    const note =
      'This machine has two cores, and the load needs one: both data threads share the other, so only the cost counts.';
    return { ...outcome, notes: [...outcome.notes, note] };
  },
};
