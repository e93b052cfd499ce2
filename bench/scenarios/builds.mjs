/** What a small GET costs by this build and by an earlier one. */
import { earlierBuild } from '../earlier-build.mjs';
import { wrk } from '../load.mjs';
import { buildRows, NOW, ROUTED } from './build-rows.mjs';
import { LOADED_COLUMNS, loadedRounds, loadedSeconds } from './loaded.mjs';

/**
 * Two processes of one build differ by a percent or two, each by as much for as long as it lives: by what the compiler
 * made of it, and where its memory is. So there are several processes of each.
 */
const SITTINGS = 5;
/** Short ones, and so more of them: what two builds have of the machine differs less within three seconds than within ten. */
const ROUND_SECONDS = 1;

/** For each sitting: the whole takes about as long as other scenarios. */
const shortRounds = ({ rounds, ...options }) => ({
  ...options,
  rounds: 2 * rounds,
  seconds: ROUND_SECONDS,
});

const COLUMNS = [
  { key: 'name', title: 'build' },
  ...LOADED_COLUMNS.slice(1).filter(({ key }) => !key.startsWith('ratio')),
  { key: 'beside', title: 'beside' },
  { key: 'dearerPercent', title: 'dearer, %', digits: 1 },
  { key: 'lowPercent', title: 'a quarter below', digits: 1 },
  { key: 'highPercent', title: 'a quarter above', digits: 1 },
];

/** @satisfies {import('../bench.mjs').Scenario} */
export const builds = {
  name: 'builds',
  title: 'An earlier build',
  about: `Small GET through this build, its backend at the top of the config or in a pool that one route for everything leads to, and through an earlier build. ${SITTINGS} processes of each, one after the other, loaded in rounds of ${ROUND_SECONDS} s, twice as many as elsewhere with each; the difference is taken within each round, and is the median of all.`,
  peers: [],
  estimate({ peers, options }) {
    const bench = { peers, options: shortRounds(options) };
    return 10 + SITTINGS * loadedSeconds(bench, [NOW, NOW, NOW]);
  },

  async run(context) {
    const earlier = await earlierBuild(context);
    const bench = { ...context, options: shortRounds(context.options) };
    const task = { backends: bench.backend.ports.slice(0, 1) };
    const contestants = [
      { name: NOW, peer: 'fairlead', task },
      { name: earlier.name, peer: 'fairlead', task: { ...task, dist: earlier.dist } },
      { name: ROUTED, peer: 'fairlead', task: { ...task, isRouted: true } },
    ];
    const notes = [];
    const rounds = [];
    for (let sitting = 0; sitting < SITTINGS; sitting++) {
      rounds.push(...(await loadedRounds(bench, contestants, load, bench.options.rounds, notes)));
    }
    return { columns: COLUMNS, rows: buildRows(rounds, earlier.name), notes };
  },
};

/** @type {import('./loaded.mjs').Load} */
const load = ({ stage, options }, target) =>
  wrk(stage, { ...target, connections: options.connections });
