/**
 * `npm test`: system tools; types, lint and build beside each other; then the tests. Stops where one of these fails.
 * The last line of its output is `N passed, N failed`.
 *
 *   --fast                   types, lint, build, and of the tests those in `FAST`; installs nothing
 *   --suite-only             only the tests, on what was built before (CI runs them on several versions of Node)
 *   --fewer-peers            without what depends little on our version of Node, which CI has on the first one only: what a browser, curl,
 *                            nginx and Go do, the docs, the image, what is decided by texts and values (`ON_ONE_VERSION` of
 *                            vitest.config.ts)
 *   FAIRLEAD_TEST_NODE=path  the node binary that runs the tests and the processes they start
 *   FAIRLEAD_TEST_COUNTS=file  a line `passed failed` is appended to this file
 *   FAIRLEAD_TEST_SECOND_LOOK=file  few failures are looked at again (docs/decisions/0019-second-look.md), and what came of it is
 *                            appended to this file
 *   CI=true                  nothing may be skipped: a missing system tool is a failure
 *
 * Other arguments go to Vitest: `npm test -- test/behaviour`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const isCi = ['true', '1'].includes(process.env.CI ?? '');
const isSuiteOnly = process.argv.includes('--suite-only');
const isFast = process.argv.includes('--fast');
const hasFewerPeers = process.argv.includes('--fewer-peers');

/** Of `--fast`: what tests functions without processes and waiting, and the ways of working that must never break. */
const FAST = [
  'test/architecture.test.ts',
  'test/balance/',
  'test/config/',
  'test/observe/',
  'test/relay/',
  'test/stream/',
  'test/wire/',
  'test/behaviour/ways-of-working.test.ts',
];

const OWN_FLAGS = new Set(['--suite-only', '--fast', '--fewer-peers']);
const vitestArguments = [
  ...(isFast ? FAST : []),
  ...process.argv.slice(2).filter((argument) => !OWN_FLAGS.has(argument)),
];
const testNode = process.env.FAIRLEAD_TEST_NODE ?? process.execPath;

/** Programs that tests run, and the Debian packages that hold them. */
const SYSTEM_TOOLS = {
  ab: 'apache2-utils',
  hey: 'hey',
  openssl: 'openssl',
  curl: 'curl',
  script: 'bsdutils',
  git: 'git',
  man: 'man-db',
  h2load: 'nghttp2-client',
  chromium: 'chromium',
  nginx: 'nginx',
  haproxy: 'haproxy',
  caddy: 'caddy',
  go: 'golang-go',
  ip: 'iproute2',
  prometheus: 'prometheus',
  promtool: 'prometheus',
  etcd: 'etcd-server',
  etcdctl: 'etcd-client',
  'redis-server': 'redis-server',
  perl: 'perl',
  pebble: 'pebble',
  'pebble-challtestsrv': 'pebble',
  'systemd-notify': 'systemd',
  'systemd-analyze': 'systemd',
};

function say(line) {
  process.stdout.write(`${line}\n`);
}

/** Whether the command ended with 0. Its output is shown as it comes. */
function run(command, commandArguments, options = {}) {
  const result = spawnSync(command, commandArguments, { cwd: root, stdio: 'inherit', ...options });
  if (result.error !== undefined) say(`${command}: ${result.error.message}`);
  return result.status === 0;
}

function missingTools() {
  // Servers are where the PATH of a user may not lead.
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'];
  return Object.keys(SYSTEM_TOOLS).filter(
    (tool) => !folders.some((folder) => existsSync(join(folder, tool))),
  );
}

/** The command prefix that may install packages, or null: not Debian, or neither root nor sudo without a password. */
function installer() {
  if (spawnSync('apt-get', ['--version']).status !== 0) return null;
  if (process.getuid?.() === 0) return [];
  return spawnSync('sudo', ['-n', 'true']).status === 0 ? ['sudo', '-n'] : null;
}

function installTools(tools) {
  const prefix = installer();
  if (prefix === null) return;
  // What comes with a service is not wanted as one: without systemd's ear, nothing is started.
  const settings = ['DEBIAN_FRONTEND=noninteractive', 'SYSTEMD_OFFLINE=1'];
  const apt = [...prefix, 'env', ...settings, 'apt-get'];
  const packages = tools.map((tool) => SYSTEM_TOOLS[tool]);
  say(`Installing ${packages.join(', ')} for the tests.`);
  const quiet = { stdio: ['ignore', 'ignore', 'inherit'] };
  run(apt[0], [...apt.slice(1), 'update', '-qq'], quiet);
  run(
    apt[0],
    [...apt.slice(1), 'install', '-y', '-qq', '--no-install-recommends', ...packages],
    quiet,
  );
}

function systemTools() {
  if (missingTools().length > 0) installTools(missingTools());
  const missing = missingTools();
  if (missing.length === 0) return true;
  say(
    `Missing: ${missing.join(', ')}. ${isCi ? 'CI must not skip tests.' : 'The tests that need them are skipped.'}`,
  );
  return !isCi;
}

/** Without this script's own variables: Fairlead, which tests start, refuses a `FAIRLEAD_` name that it does not know. */
function suiteEnvironment(folder) {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('FAIRLEAD_TEST_'));
  return {
    ...Object.fromEntries(others),
    TESTS_ARE_BUILT: '1',
    ...(hasFewerPeers && { TESTS_FEWER_PEERS: '1' }),
    TESTS_EXPECT_NODE: testNode,
    // The suite starts Fairlead hundreds of times. Node 20 has no such cache, and does not read this.
    NODE_COMPILE_CACHE: join(folder, 'compiled'),
  };
}

/**
 * Runs Vitest once.
 * @returns null if it left no report
 */
function runVitest(...vitestArgs) {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-report-'));
  const report = join(folder, 'report.json');
  try {
    const reporting = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const isGreen = run(
      testNode,
      [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...reporting, ...vitestArgs],
      { env: suiteEnvironment(folder) },
    );
    if (!existsSync(report)) return null;
    return { isGreen, ...JSON.parse(readFileSync(report, 'utf8')) };
  } finally {
    remove(folder);
  }
}

/** What was started last may still write what it has compiled: a folder that is left is none of the tests' faults. */
function remove(folder) {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  } catch (error) {
    say(`${folder} is left behind: ${error.message}`);
  }
}

/** Runs the tests; returns how many passed and failed. */
function runSuite() {
  const report = runVitest(...vitestArguments);
  if (report === null) return { passed: 0, failed: 1 };
  const counts = countsOf(report);
  const findings = process.env.FAIRLEAD_TEST_SECOND_LOOK;
  if (counts.failed === 0 || findings === undefined) return counts;
  const names = failedNames(report);
  const wasChance = mayBeChance(report, counts) && passesTwice(report);
  for (const name of names) {
    const line = `${wasChance ? 'failed once, then passed twice' : 'failed'}: ${name}`;
    appendFileSync(findings, `Node ${nodeVersion()}: ${line}\n`);
    say(line);
  }
  if (!wasChance) return counts;
  return { passed: counts.passed + counts.failed, failed: 0 };
}

function nodeVersion() {
  return spawnSync(testNode, ['--version'], { encoding: 'utf8' }).stdout.trim().slice(1);
}

/** What fails in many places is broken, and what failed outside of a test has no name to look at again. */
const MOST_BY_CHANCE = 3;

function mayBeChance(report, counts) {
  const hasNames = report.numFailedTests === counts.failed;
  return hasNames && counts.failed <= MOST_BY_CHANCE;
}

/** The files of the tests that failed, alone on the machine. */
function passesTwice(report) {
  const files = report.testResults.filter(hasFailedTests).map(({ name }) => name);
  for (let round = 0; round < 2; round++) {
    say('• a second look at what failed');
    const again = runVitest('--no-file-parallelism', ...files);
    if (again === null || countsOf(again).failed > 0) return false;
  }
  return true;
}

function hasFailedTests({ assertionResults }) {
  return assertionResults.some(({ status }) => status === 'failed');
}

function failedNames(report) {
  return report.testResults.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status }) => status === 'failed')
      .map(({ fullName }) => `${relative(root, name)}: ${fullName}`),
  );
}

function countsOf(report) {
  // A file that can't be loaded, or whose hooks fail, has no failing test of its own.
  const brokenFiles = report.testResults.filter(
    (file) => file.status === 'failed' && !hasFailedTests(file),
  ).length;
  const skipped = report.numPendingTests + report.numTodoTests;
  if (skipped > 0)
    say(`${skipped} skipped.${isCi ? ' CI must not skip tests: counted as failed.' : ''}`);
  const failed = report.numFailedTests + brokenFiles + (isCi ? skipped : 0);
  // Vitest also fails without a failing test: an unhandled rejection, no tests at all.
  return { passed: report.numPassedTests, failed: report.isGreen ? failed : Math.max(failed, 1) };
}

function finish({ passed, failed }) {
  if (process.env.FAIRLEAD_TEST_COUNTS !== undefined) {
    appendFileSync(process.env.FAIRLEAD_TEST_COUNTS, `${passed} ${failed}\n`);
  }
  say(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

/**
 * All at once: each has times in which it keeps one core busy or none. What they say stands together all the same.
 * @returns the first of them, in their order, that failed
 */
async function runStages(stages) {
  const results = await Promise.all(
    Object.entries(stages).map(async ([name, command]) => ({ name, ...(await outputOf(command)) })),
  );
  for (const { name, output } of results) say(`• ${name}\n${output}`.trimEnd());
  return results.find(({ isFine }) => !isFine)?.name;
}

function outputOf([command, ...commandArguments]) {
  return new Promise((resolve) => {
    const child = spawn(command, commandArguments, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    child.on('error', (error) =>
      resolve({ isFine: false, output: `${command}: ${error.message}` }),
    );
    child.on('close', (code) => resolve({ isFine: code === 0, output }));
  });
}

const STAGES = {
  types: [process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '--noEmit'],
  lint: ['npm', 'run', '--silent', 'lint'],
  build: [process.execPath, join(root, 'scripts/build.mjs')],
};

async function failedStage() {
  if (isSuiteOnly) return undefined;
  if (!isFast) {
    say('• system tools');
    if (!systemTools()) return 'system tools';
  }
  return runStages(STAGES);
}

async function main() {
  const failed = await failedStage();
  if (failed !== undefined) {
    say(`The stage "${failed}" failed; what comes after it was not run.`);
    finish({ passed: 0, failed: 1 });
    return;
  }
  say('• tests');
  finish(runSuite());
}

await main();
