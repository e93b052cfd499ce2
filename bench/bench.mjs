/**
 * What every scenario is given.
 *
 * @typedef {object} Bench
 * @property {import('./stage.mjs').Stage} stage
 * @property {import('./options.mjs').Options} options
 * @property {string} node version of the Node that runs Fairlead
 * @property {{ ports: readonly number[], http2Port: number }} backend `http2Port`: the same server in HTTP/2, in the clear
 * @property {ReadonlyMap<string, import('./peers/peer.mjs').Peer>} peers those that can take part, Fairlead first
 * @property {() => Promise<string | null>} dependencies installs what the bench has from npm; why not, or null
 *
 * @typedef {object} Scenario
 * @property {string} name for `--only`
 * @property {string} title
 * @property {string} about what is done, in a sentence
 * @property {readonly string[]} peers names of those that take part beside Fairlead
 * @property {readonly string[]} [quickPeers] the same in a quick run; without them it is not part of one
 * @property {(bench: Bench, proxies: readonly string[]) => number} estimate seconds
 * @property {(bench: Bench, proxies: readonly string[]) => Promise<Outcome>} run `proxies`: who takes part, Fairlead first
 *
 * @typedef {object} Outcome
 * @property {readonly Column[]} columns
 * @property {readonly Row[]} rows
 * @property {readonly string[]} notes what could not be measured and why, or what to know about the figures
 *
 * @typedef {object} Column
 * @property {string} key of the rows
 * @property {string} title
 * @property {number} [digits] after the point; none for texts
 *
 * @typedef {Record<string, string | number | null>} Row `name` is who it is about; null: does not apply
 */

/** Why a scenario could not be run. */
export class Skipped extends Error {}

/**
 * The peers that a scenario is to be run with, whether they are here or not.
 * @param {Scenario} scenario
 * @param {import('./options.mjs').Options} options
 */
export function wantedPeers({ peers, quickPeers = peers }, { isQuick, peers: chosen }) {
  if (chosen !== null) return peers.filter((name) => chosen.includes(name));
  return isQuick ? quickPeers : peers;
}

/**
 * The peers that were asked for by name and have nothing to do.
 * @param {readonly Scenario[]} scenarios
 * @param {import('./options.mjs').Options} options
 */
export function unusedPeers(scenarios, options) {
  const wanted = new Set(scenarios.flatMap((scenario) => wantedPeers(scenario, options)));
  return (options.peers ?? []).filter((name) => !wanted.has(name));
}
