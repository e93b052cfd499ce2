/**
 * `npm run bench`: Fairlead beside its peers. bench/README.md says what is measured and how.
 *
 * Exit codes: 0 the run went through (whatever the verdicts), 1 it did not, 2 wrong options.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { startBackend } from './backend/nginx.mjs';
import { Skipped, unusedPeers, wantedPeers } from './bench.mjs';
import { installer } from './dependencies.mjs';
import { commitOf } from './earlier-build.mjs';
import { machineFacts } from './machine.mjs';
import { HELP, parseOptions, UsageError } from './options.mjs';
import { PEERS } from './peers/all.mjs';
import { fairlead } from './peers/fairlead.mjs';
import { Missing } from './peers/peer.mjs';
import { page, picture, roundsOf, terminalPage } from './report.mjs';
import { runResilience } from './resilience/main.mjs';
import { SCENARIOS } from './scenarios/all.mjs';
import { isInstalled, LOAD_CORE, Stage } from './stage.mjs';
import { judge } from './verdicts.mjs';

/** What the measuring itself needs, and the Debian packages that hold it. */
const TOOLS = { taskset: 'util-linux', wrk: 'wrk', nginx: 'nginx-light' };
const RESULTS = new URL('results/', import.meta.url);
const PICTURE = new URL('../docs/bench.svg', import.meta.url);

function say(line) {
  process.stderr.write(`${line}\n`);
}

function checkMachine(options) {
  if (process.platform !== 'linux') throw new Error('the bench needs Linux: it reads /proc');
  for (const [tool, debianPackage] of Object.entries(TOOLS)) {
    if (!isInstalled(tool)) {
      throw new Error(`${tool} is not installed (Debian: apt-get install ${debianPackage})`);
    }
  }
  // The bench itself must not disturb the proxies: none of its threads.
  const pinned = spawnSync('taskset', ['-acp', LOAD_CORE, String(process.pid)]);
  if (pinned.status !== 0) throw new Error('the bench needs two cores: one for the proxy alone');
  const node = spawnSync(options.node, ['--version'], { encoding: 'utf8' });
  if (node.status !== 0) throw new UsageError(`--node: "${options.node}" does not run`);
  return node.stdout.trim().slice(1);
}

/** Sorts the peers into those that can take part, Fairlead first, and those that can't and why. */
async function findPeers(bench, scenarios) {
  const proxies = [{ name: fairlead.name, version: await fairlead.find(bench) }];
  const missing = unusedPeers(scenarios, bench.options).map((name) => ({
    name,
    why: 'it takes part in none of the chosen scenarios',
  }));
  bench.peers.set(fairlead.name, fairlead);
  const wanted = new Set(scenarios.flatMap((scenario) => wantedPeers(scenario, bench.options)));
  for (const peer of PEERS.filter(({ name }) => wanted.has(name))) {
    try {
      proxies.push({ name: peer.name, version: await peer.find(bench) });
      bench.peers.set(peer.name, peer);
    } catch (error) {
      if (!(error instanceof Missing)) throw error;
      missing.push({ name: peer.name, why: error.message });
    }
  }
  return { proxies, missing };
}

/** One scenario that fails does not take the others with it. */
async function runScenario(bench, { name, title, about, run }, takingPart) {
  const nothing = { name, title, about, columns: [], rows: [] };
  try {
    return { ...nothing, ...(await run(bench, takingPart)) };
  } catch (error) {
    if (error instanceof Skipped) return { ...nothing, notes: [`Not run: ${error.message}`] };
    say(error.stack);
    process.exitCode = 1;
    return { ...nothing, notes: [`Failed: ${error.message}`] };
  }
}

function minutes(seconds) {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} minutes`;
}

async function measureAll(stage, options, node) {
  const bench = {
    stage,
    options,
    node,
    peers: new Map(),
    dependencies: installer(stage, say),
    backend: await startBackend(stage),
  };
  const chosen = SCENARIOS.filter(({ name }) => options.only.includes(name));
  const { proxies, missing } = await findPeers(bench, chosen);
  for (const { name, why } of missing) say(`missing: ${name}: ${why}`);
  const plan = chosen.map((scenario) => {
    const peers = wantedPeers(scenario, options).filter((name) => bench.peers.has(name));
    const takingPart = [fairlead.name, ...peers];
    return { scenario, takingPart, seconds: scenario.estimate(bench, takingPart) };
  });
  say(
    `${plan.length} scenarios: about ${minutes(plan.reduce((sum, one) => sum + one.seconds, 0))}`,
  );
  const scenarios = [];
  for (const [index, { scenario, takingPart, seconds }] of plan.entries()) {
    say(`${index + 1}/${plan.length} ${scenario.title}, ${minutes(seconds)}`);
    const result = await runScenario(bench, scenario, takingPart);
    for (const note of result.notes) say(`  ${note}`);
    scenarios.push(result);
  }
  const { isQuick, rounds, seconds, connections } = options;
  return {
    date: new Date().toISOString().slice(0, 10),
    isQuick,
    machine: machineFacts(node),
    load: { rounds, seconds, connections },
    proxies,
    missing,
    verdicts: judge(scenarios, options.only),
    scenarios,
  };
}

/** No figure is exact to more than a thousandth. */
function rounded(_key, value) {
  return typeof value === 'number' ? Math.round(value * 1000) / 1000 : value;
}

function writeResults(report, isPublished) {
  const name = isPublished ? 'latest' : 'last-run';
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(new URL(`${name}.json`, RESULTS), `${JSON.stringify(report, rounded, 2)}\n`);
  writeFileSync(new URL(`${name}.md`, RESULTS), page(report));
  if (isPublished) {
    const { rows } = report.scenarios.find((scenario) => scenario.name === 'small-get');
    const subtitle = `One core each, ${report.load.connections} connections, ${roundsOf(report.load)}. ${report.machine.cpu}, Node ${report.machine.node}, ${report.date}`;
    writeFileSync(PICTURE, picture(rows, subtitle));
  }
  say(`written: bench/results/${name}.json and .md${isPublished ? ', docs/bench.svg' : ''}`);
}

async function main() {
  const [first, ...rest] = process.argv.slice(2);
  if (first === 'resilience') {
    await runResilience(rest);
    return;
  }
  const options = parseOptions(process.argv.slice(2), { scenarios: SCENARIOS, peers: PEERS });
  if (options.isHelp) {
    process.stdout.write(HELP);
    return;
  }
  const node = checkMachine(options);
  const stage = new Stage();
  process.on('exit', () => stage.clear());
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => process.exit(128 + constants.signals[signal]));
  }
  // Not after twenty minutes.
  if (options.before !== null) await commitOf(stage, options.before);
  const report = await measureAll(stage, options, node);
  process.stdout.write(terminalPage(report));
  const isFailed = process.exitCode !== undefined;
  if (isFailed && options.isPublished) say('not published: a scenario failed');
  writeResults(report, options.isPublished && !isFailed);
  process.exit();
}

try {
  await main();
} catch (error) {
  say(error instanceof UsageError || error instanceof Missing ? error.message : error.stack);
  process.exit(error instanceof UsageError ? 2 : 1);
}
