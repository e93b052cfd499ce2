import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/build-first.ts'],
    setupFiles: ['test/support/after-test.ts', 'test/support/fetch-once.ts'],
    // Tests start processes and measure time: separate processes, and few of them. They wait for a quarter of their time,
    // so a machine of two cores has work for three.
    pool: 'forks',
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 5_000,
  },
});
