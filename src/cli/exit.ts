/** How a command ends: its exit codes, and what it says when a config is refused. */
import { formatProblem, type Problem } from '../config/problem.ts';

export const EXIT_FINE = 0;
/** Failed while running. */
export const EXIT_FAILED = 1;
/** Bad config or arguments. */
export const EXIT_USAGE = 2;

export function complain(problems: readonly Problem[]): void {
  process.stderr.write(problems.map((problem) => `${formatProblem(problem)}\n`).join(''));
}
