import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

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

/**
 * Tests that start Fairlead, look at pages and commands, and share a process of their own: a new one costs a file a second, mostly for
 * what it imports. What they leave behind in it is undone by end-of-file.ts.
 */
const SHARED = [
  'behaviour/**',
  'bench',
  'cli/**',
  'cli-tools',
  'docs',
  'faults',
  'peers',
  'regress',
].map((folder) => `test/${folder}/*.test.ts`);

/** What can't share a process: it looks into modules that others have loaded and filled already, or measures its own process. */
const APART = [
  'test/cli-tools/sample-backend.test.ts',
  'test/control/upgrade-knowledge.test.ts',
  'test/regress/a-refused-backend-gets-in-by-its-ticket.test.ts',
  'test/regress/slow-readers-fill-the-memory.test.ts',
  'test/wire/http2/hpack-encoder.test.ts',
];

/** Regressions of what reads and changes a config, and of its commands: text and values, nothing that Node does with sockets. */
const CONFIG_REGRESSIONS = [
  'a-backend-wanted-back-is-removed',
  'a-config-of-another-program-is-read',
  'a-config-of-many-keys-stops-the-control-plane',
  'a-config-of-one-mebibyte-stops-the-control-plane',
  'a-config-refused-for-a-port-is-shown-as-in-force',
  'a-file-cut-off-takes-all-backends-away',
  'a-half-written-config-loses-its-last-rule',
  'a-line-of-a-change-does-not-name-its-pool',
  'a-reload-does-not-say-what-changed',
  'a-reload-swallows-notes',
  'a-restart-removes-a-backend-that-serves',
  'a-text-to-validate-holds-up-the-admin-api',
  'a-text-to-validate-reads-the-environment',
  'a-variable-next-to-the-right-one-is-passed-over',
  'a-viewer-reads-the-secrets-of-the-config',
  'an-added-backend-is-nowhere-to-be-found',
  'an-edited-strategy-changes-nothing',
  'an-nginx-config-to-import-names-a-device',
  'changes-to-a-pool-that-has-left-can-not-be-dropped',
  'explain-names-another-route-where-there-is-none',
  'hints-of-commands-speak-of-calls',
  'one-bad-entry-enables-a-disabled-backend',
  'processes-are-left-when-dev-is-ended',
  'the-last-of-two-equal-keys-wins',
].map((name) => `test/regress/${name}.test.ts`);

/** Commands that write or explain text; those that serve, connect or watch are run on every version. */
const TEXT_COMMANDS = [
  'check-diff',
  'completion',
  'hash-password',
  'import-nginx',
  'import-nginx-access',
  'init',
  'json',
  'man-page',
  'progress',
  'token',
].map((name) => `test/cli/${name}.test.ts`);

/** `--fewer-peers` of scripts/test.mjs: what depends little or not at all on our version of Node. */
const ON_ONE_VERSION = [
  'test/architecture.test.ts',
  'test/balance/**',
  'test/bench/**',
  'test/cli-tools/demo-steps.test.ts',
  'test/cli-tools/event-reader.test.ts',
  'test/cli-tools/top-view.test.ts',
  'test/cli-tools/try*.test.ts',
  // Certificates are read by the OpenSSL of Node.
  'test/config/!(*tls*|*certificate*|admin-tokens|config-file).test.ts',
  'test/containers/**',
  'test/dashboard/**',
  'test/docs/**',
  'test/peers/on-one-version/**',
  'test/route/**',
  ...CONFIG_REGRESSIONS,
  ...TEXT_COMMANDS,
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
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: { name: 'pure', include: PURE, exclude: [...APART, ...LEFT_OUT], isolate: false },
      },
      {
        extends: true,
        test: { name: 'shared', include: SHARED, exclude: [...APART, ...LEFT_OUT], isolate: false },
      },
      {
        extends: true,
        test: {
          name: 'rest',
          include: ['test/**/*.test.ts'],
          exclude: [...PURE, ...SHARED, ...LEFT_OUT],
        },
      },
      { extends: true, test: { name: 'apart', include: APART } },
    ],
  },
});
