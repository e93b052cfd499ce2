/** The command line of the bench. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { commandOf } from './peers/fairlead.mjs';
import { FLOODS } from './scenarios/admin-floods.mjs';

export const HELP = `npm run bench -- [options]

Runs Fairlead beside every peer that is installed and prints what each request costs.

  --quick              the scenarios with a target, few peers, short rounds: under 3 minutes
  --only NAME,NAME     these scenarios
  --peers NAME,NAME    these peers (Fairlead always takes part)
  --rounds N           rounds per scenario (5; quick: 2)
  --seconds N          seconds of load per peer and round (3; quick: 1)
  --connections N      client connections for small requests (64)
  --floods NAME,NAME   these kinds of the scenario "admin-floods", of two minutes each
  --node PATH          the Node that runs Fairlead and the proxies from npm (the one that runs this)
  --before REF         of git: the earlier Fairlead of the scenario "builds", which is built for it (the one
                       before pools, routes and listeners)
  --before-dist PATH   the same as a folder that was built
  --publish            write bench/results/latest.json, latest.md and docs/bench.svg: only for a
                       run of everything, 3 rounds of 2 seconds at least, in which no scenario failed
  --help               this text

npm run bench -- resilience      what backends that fail and clients that attack cost (--help tells more)
`;

/** Fewer rounds show no median beside lowest and highest; a shorter interval is too short for a clock of 10 ms. */
const PUBLISHED_ROUNDS = 3;
const PUBLISHED_SECONDS = 2;

export class UsageError extends Error {}

/**
 * @typedef {object} Options
 * @property {boolean} isQuick
 * @property {boolean} isPublished
 * @property {boolean} isHelp
 * @property {readonly string[]} only names of scenarios
 * @property {readonly string[] | null} peers names of peers, without Fairlead; null: those that the scenarios name
 * @property {number} rounds
 * @property {number} seconds
 * @property {number} connections
 * @property {readonly string[]} floods kinds of `admin-floods`
 * @property {string} node
 * @property {string | null} before a ref of git; null: the one that `builds` knows of
 * @property {string | null} beforeDist a folder that was built
 */

/**
 * @param {readonly string[]} argv
 * @param {{ scenarios: readonly { name: string, quickPeers?: readonly string[] }[], peers: readonly { name: string }[] }} known
 * @returns {Options}
 */
export function parseOptions(argv, known) {
  const values = parse(argv);
  const isQuick = values.quick ?? false;
  const isPublished = values.publish ?? false;
  const options = {
    isQuick,
    isPublished,
    isHelp: values.help ?? false,
    only: names('--only', values.only, known.scenarios) ?? everything(known.scenarios, isQuick),
    peers: names('--peers', values.peers, known.peers),
    rounds: positive('--rounds', values.rounds ?? (isQuick ? '2' : '5')),
    seconds: positive('--seconds', values.seconds ?? (isQuick ? '1' : '3')),
    connections: positive('--connections', values.connections ?? '64'),
    floods:
      names(
        '--floods',
        values.floods,
        FLOODS.map((name) => ({ name })),
      ) ?? FLOODS,
    node: values.node ?? process.execPath,
    before: values.before ?? null,
    beforeDist: values['before-dist'] === undefined ? null : resolve(values['before-dist']),
  };
  if (isPublished) mustBePublishable(values, options);
  mustBeComparable(options);
  return options;
}

/** What "builds" is to compare with. */
function mustBeComparable({ before, beforeDist, only }) {
  if (before === null && beforeDist === null) return;
  const option = before === null ? '--before-dist' : '--before';
  if (before !== null && beforeDist !== null) {
    throw new UsageError('--before and --before-dist: one of them');
  }
  if (!only.includes('builds')) {
    throw new UsageError(`${option} is for the scenario "builds", which is not among the chosen`);
  }
  if (beforeDist !== null && !existsSync(commandOf(beforeDist))) {
    throw new UsageError(`--before-dist: "${beforeDist}" is no build: cli/main.js is not there`);
  }
}

function mustBePublishable({ quick, only, peers, floods, ...values }, { rounds, seconds }) {
  if (quick || [only, peers, floods].some((one) => one !== undefined)) {
    throw new UsageError(
      '--publish is for a run of everything: not with --quick, --only, --peers, --floods',
    );
  }
  if (values['before-dist'] !== undefined) {
    throw new UsageError('--publish is for what others can measure again: not with --before-dist');
  }
  if (rounds < PUBLISHED_ROUNDS || seconds < PUBLISHED_SECONDS) {
    throw new UsageError(
      `--publish is for figures to trust: --rounds ${PUBLISHED_ROUNDS} and --seconds ${PUBLISHED_SECONDS} at least`,
    );
  }
}

function parse(argv) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        quick: { type: 'boolean' },
        only: { type: 'string' },
        peers: { type: 'string' },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        connections: { type: 'string' },
        floods: { type: 'string' },
        node: { type: 'string' },
        before: { type: 'string' },
        'before-dist': { type: 'string' },
        publish: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error.message);
  }
}

function everything(scenarios, isQuick) {
  return scenarios
    .filter(({ quickPeers }) => !isQuick || quickPeers !== undefined)
    .map(({ name }) => name);
}

/** The names of a comma-separated list, or null without one. */
function names(option, text, known) {
  if (text === undefined) return null;
  const all = known.map(({ name }) => name);
  const chosen = text.split(',').map((name) => name.trim());
  const unknown = chosen.find((name) => !all.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`${option}: "${unknown}" is none of ${all.join(', ')}`);
  }
  return chosen;
}

function positive(option, text) {
  if (!/^[1-9]\d{0,5}$/.test(text)) {
    throw new UsageError(`${option}: "${text}" is not a whole number from 1 on`);
  }
  return Number(text);
}
