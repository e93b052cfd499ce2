/**
 * The order of test files: those that take longest begin, so that no worker is left alone with one of them at the end. Vitest sorts by
 * what a run before took, and where there was none, as in CI, by size; some of the longest files are small.
 */
import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** More than 40 s each, on two cores. */
const LONGEST = new Set([
  'test/peers/on-one-version/dashboard-load.test.ts',
  'test/peers/on-one-version/npx.test.ts',
  'test/peers/on-one-version/dashboard-changes.test.ts',
  'test/cli/admin-clients.test.ts',
  'test/peers/on-one-version/dashboard.test.ts',
  'test/containers/image.test.ts',
  'test/faults/resilience.test.ts',
  'test/faults/an-exception-costs-one-connection.test.ts',
  'test/regress/slow-readers-fill-the-memory.test.ts',
  'test/peers/on-one-version/acme/cluster.test.ts',
  'test/cli/json.test.ts',
  'test/regress/processes-are-left-when-dev-is-ended.test.ts',
  'test/behaviour/watched-config.test.ts',
]);

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // oxlint-disable-next-line unicorn/no-array-sort -- that of Vitest, which returns a new one
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification): boolean =>
      LONGEST.has(relative(this.ctx.config.root, moduleId));
    // Files of a project stay together: those that share a process go on in it only then.
    const projects = [...new Set(sorted.map(({ project }) => project))];
    return projects.flatMap((project) => {
      const own = sorted.filter((file) => file.project === project);
      return [...own.filter(isLong), ...own.filter((file) => !isLong(file))];
    });
  }
}
