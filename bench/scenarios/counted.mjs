/** Scenarios that run a program of ours once a round: what it prints is JSON, one entry for each row. */
import { fileURLToPath } from 'node:url';

/**
 * @param {Parameters<import('../bench.mjs').Scenario['run']>[0]} context
 * @param {string} name of the program in `bench/clients`
 * @returns {Promise<any[][]>} by round
 */
export async function countedRounds({ stage, options }, name) {
  const program = fileURLToPath(new URL(`../clients/${name}.mjs`, import.meta.url));
  const rounds = [];
  for (let round = 0; round < options.rounds; round++) {
    const { status, output } = await stage.run(options.node, [
      '--expose-gc',
      // Room for a million calls that allocate: none of it is collected before it is counted.
      '--min-semi-space-size=256',
      '--max-semi-space-size=256',
      program,
    ]);
    if (status !== 0) throw new Error(`${name} failed: ${output.trim()}`);
    rounds.push(JSON.parse(output));
  }
  return rounds;
}
