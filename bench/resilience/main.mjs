/**
 * `npm run bench -- resilience`: what a backend that dies, slows, flaps or lies costs the clients of Fairlead, and what clients that
 * attack cost the others, figure by figure beside what it may cost.
 *
 * Exit codes: 0 every figure is reached, 1 one is missed or an experiment failed, 2 wrong options.
 */
import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { parseArgs } from 'node:util';
import { UsageError } from '../options.mjs';
import { EXPERIMENTS } from './all.mjs';
import { rounded } from './figure.mjs';
import { http2Mix } from './http2-mix.mjs';
import { Place } from './place.mjs';

const HELP = `npm run bench -- resilience [options]

Lets backends die, slow down, close early and fail under load, and clients attack, and prints what other clients saw of it: about fifteen
minutes, six of them http2-attacks and four http2-mix.

  --only NAME,NAME     these experiments: ${EXPERIMENTS.map(({ name }) => name).join(', ')}
  --node PATH          the Node that runs Fairlead (the one that runs this); two data threads need 22.12
  --seed N, --from N, --count N
                       of http2-mix: its random numbers, the exchange that it begins with, and how many
                       (${http2Mix.full.seed}, ${http2Mix.full.from}, ${http2Mix.full.count})
  --help               this text
`;

/** Of `http2-mix`. */
const NUMBERS = ['seed', 'from', 'count'];

/** @param {readonly string[]} argv what follows `resilience` */
function parse(argv) {
  let values;
  try {
    values = parseArgs({
      args: [...argv],
      options: {
        only: { type: 'string' },
        node: { type: 'string', default: process.execPath },
        ...Object.fromEntries(NUMBERS.map((name) => [name, { type: 'string' }])),
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error.message);
  }
  const names = values.only?.split(',').map((name) => name.trim());
  const unknown = names?.find((name) => !EXPERIMENTS.some((one) => one.name === name));
  if (unknown !== undefined) {
    const all = EXPERIMENTS.map(({ name }) => name).join(', ');
    throw new UsageError(`--only: "${unknown}" is none of ${all}`);
  }
  if (spawnSync(values.node, ['--version']).status !== 0) {
    throw new UsageError(`--node: "${values.node}" does not run`);
  }
  const chosen = EXPERIMENTS.filter(({ name }) => names?.includes(name) ?? true).map((one) =>
    one === http2Mix ? { ...one, full: { ...one.full, ...numbersIn(values) } } : one,
  );
  return { isHelp: values.help, node: values.node, chosen };
}

function numbersIn(values) {
  const given = NUMBERS.filter((name) => values[name] !== undefined);
  for (const name of given) {
    if (!/^\d{1,9}$/.test(values[name])) throw new UsageError(`--${name}: no whole number`);
  }
  return Object.fromEntries(given.map((name) => [name, Number(values[name])]));
}

/** One line per figure, in columns. */
function table(figures) {
  const rows = [
    ['figure', 'is', 'must be', 'verdict'],
    ...figures.map(({ what, is, must, isReached }) => {
      const verdict = isReached ? 'reached' : 'MISSED';
      return [what, String(rounded(is)), must, must === '' ? '' : verdict];
    }),
  ];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row) => row.map((cell, column) => cell.padEnd(widths[column])).join('  ');
  return rows.map((row) => `  ${line(row).trimEnd()}\n`).join('');
}

/** @returns {Promise<boolean>} whether every figure is reached */
async function runOne({ title, full, run }, node) {
  const place = new Place(node);
  const clear = () => place.clear();
  process.on('exit', clear);
  try {
    const figures = await run(place, full);
    process.stdout.write(`${title}\n${table(figures)}\n`);
    return figures.every(({ isReached }) => isReached);
  } catch (error) {
    process.stdout.write(`${title}\n  FAILED: ${error.message}\n\n`);
    return false;
  } finally {
    process.off('exit', clear);
    clear();
  }
}

/** @param {readonly string[]} argv what follows `resilience` */
export async function runResilience(argv) {
  const { isHelp, node, chosen } = parse(argv);
  if (isHelp) {
    process.stdout.write(HELP);
    return;
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => process.exit(128 + constants.signals[signal]));
  }
  let isReached = true;
  for (const experiment of chosen) isReached = (await runOne(experiment, node)) && isReached;
  process.exitCode = isReached ? 0 : 1;
}
