/**
 * How slow this machine is, and how busy, for bounds of time: what is one second on the machine on which a bound was set is more on
 * another one. Measured where it is used, in the same moment and by the same Node.
 */

/** What `work` takes on the machine on which bounds were set: between 10 ms when it is idle and 20 when it is not. */
const REFERENCE_MS = 15;

const WORDS = Array.from({ length: 400 }, (_, index) => ({
  url: `http://10.0.${index >> 8}.${index & 255}:8080`,
  weight: index % 7,
}));

/** Much like what is bounded: texts that are parsed, keys that are looked up, objects that are thrown away. */
function work(): void {
  for (let round = 0; round < 20; round++) {
    const text = JSON.stringify(WORDS);
    const seen = new Map<string, number>();
    for (const { url, weight } of JSON.parse(text) as typeof WORDS) {
      seen.set(url.replace(/^http:\/\/([\d.]+):(\d+)$/, '$2 $1'), weight);
    }
    [...seen.keys()].toSorted().join('\n').split(/\d/);
  }
}

// Compiled by now, as what is measured mostly is.
work();
work();

/** How many times longer things take than there, at least once: of time that passes, so also for want of processors. */
export function slowness(): number {
  const startedAt = performance.now();
  work();
  return Math.max(1, (performance.now() - startedAt) / REFERENCE_MS);
}

/**
 * Processor time, as on the machine on which bounds were set. The least of three where it is not below `limit` at once: a collection
 * makes some runs dear, what is wrong all.
 */
export function leastCostMs(run: () => void, limit: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 3 && least >= limit; round++) {
    const own = cpuMs(run);
    const reference = cpuMs(work) / REFERENCE_MS;
    least = Math.min(least, own / Math.max(1, reference));
  }
  return least;
}

function cpuMs(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}
