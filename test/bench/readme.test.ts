/** bench/README.md names what there is: options, scenarios, peers. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

// Plain modules without declarations: named at run time, so that the compiler does not look for any.
const bench = async (name: string) =>
  import(new URL(`../../bench/${name}.mjs`, import.meta.url).href);
const { HELP } = (await bench('options')) as { HELP: string };
const { SCENARIOS } = (await bench('scenarios/all')) as {
  SCENARIOS: { name: string; peers: string[] }[];
};
const { EXPERIMENTS } = (await bench('resilience/all')) as { EXPERIMENTS: { name: string }[] };
const { PEERS } = (await bench('peers/all')) as { PEERS: { name: string }[] };

const readme = readFileSync(new URL('../../bench/README.md', import.meta.url), 'utf8');
const NPM = ['httpxy', 'fast-proxy', 'http-proxy', '@fastify/http-proxy'];

/** The cells of the rows of a table, which begins with this head. */
function rowsOf(head: string): string[][] {
  const [, table = ''] = readme.split(`${head}\n`);
  return (table.split('\n\n')[0] ?? '')
    .split('\n')
    .slice(1)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

function codes(cell = ''): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? '');
}

/** "(5; quick: 2)", in their order. */
function defaultsIn(text: string): string[] {
  return [...text.matchAll(/\(\d[^)]*\)/g)].map(([match]) => match);
}

describe('the options', () => {
  const rows = rowsOf('| option | |');

  test('are those of --help', () => {
    const named = rows.flatMap(([option]) => codes(option).map((code) => code.split(' ')[0]));
    const known = [...HELP.matchAll(/^ {2}(--[\w-]+)/gm)].map(([, option]) => option);
    expect(named.toSorted()).toEqual(known.toSorted());
  });

  test('have the defaults of --help', () => {
    expect(defaultsIn(rows.map(([, text]) => text).join('\n'))).toEqual(defaultsIn(HELP));
  });
});

test('the scenarios and their peers are those that run', () => {
  const rows = rowsOf('| name | load | peers | target |').map(([name, , peers = '']) => ({
    name: codes(name)[0],
    peers: peers
      .split(', ')
      .filter((peer) => peer !== '')
      .flatMap((peer) => (peer === 'npm' ? NPM : [peer])),
  }));
  expect(rows).toEqual(SCENARIOS.map(({ name, peers }) => ({ name, peers: [...peers] })));
});

test('the experiments with failing backends are those that run', () => {
  const named = rowsOf('| name | what happens | must be |').flatMap(([name]) => codes(name));
  expect(named).toEqual(EXPERIMENTS.map(({ name }) => name));
});

test('the peers are those of the bench, after Fairlead', () => {
  const named = rowsOf('| peer | settings |').flatMap(([name]) => codes(name));
  const known = ['fairlead', ...PEERS.map(({ name }) => name)];
  expect(named.toSorted()).toEqual(known.toSorted());
});
