import { defineConfig } from 'vitest/config';

/** Tests of functions: a process of its own costs a file more than all that it does. */
const PURE = [
  'backend',
  'balance',
  'config',
  'control',
  'dashboard',
  'limit',
  'listen',
  'observe',
  'pool',
  'relay',
  'route',
  'snapshot',
  'stream',
  'wire',
].map((folder) => `test/${folder}/**/*.test.ts`);

/** Of those, what failed once where it shared one, for a reason that is not known yet. */
const APART = ['test/control/upgrade-knowledge.test.ts'];

/** `--fewer-peers` of scripts/test.mjs: what depends little or not at all on our version of Node. */
const ON_ONE_VERSION = [
  'test/architecture.test.ts',
  'test/bench/**',
  'test/containers/**',
  'test/docs/**',
  'test/peers/on-one-version/**',
];
const LEFT_OUT = process.env['TESTS_FEWER_PEERS'] === undefined ? [] : ON_ONE_VERSION;

export default defineConfig({
  test: {
    globalSetup: ['test/support/build-first.ts'],
    setupFiles: ['test/support/end-of-file.ts', 'test/support/fetch-once.ts'],
    // Tests start processes and measure time: separate processes, and few of them. They wait for a quarter of their time,
    // so a machine of two cores has work for three.
    pool: 'forks',
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 5_000,
    projects: [
      { extends: true, test: { name: 'pure', include: PURE, exclude: APART, isolate: false } },
      {
        extends: true,
        test: { name: 'rest', include: ['test/**/*.test.ts'], exclude: [...PURE, ...LEFT_OUT] },
      },
      { extends: true, test: { name: 'apart', include: APART } },
    ],
  },
});
