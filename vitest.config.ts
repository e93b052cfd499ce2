import { defineConfig } from 'vitest/config';

/** Tests of functions, which start no process and keep nothing from one file to the next: they share processes. */
const PURE = ['balance', 'config', 'limit', 'pool', 'relay', 'route', 'snapshot', 'wire'].map(
  (folder) => `test/${folder}/**/*.test.ts`,
);

/** `--fewer-peers` of scripts/test.mjs. */
const LEFT_OUT =
  process.env['TESTS_FEWER_PEERS'] === undefined ? [] : ['test/peers/on-one-version/**'];

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
      { extends: true, test: { name: 'pure', include: PURE, isolate: false } },
      {
        extends: true,
        test: { name: 'rest', include: ['test/**/*.test.ts'], exclude: [...PURE, ...LEFT_OUT] },
      },
    ],
  },
});
