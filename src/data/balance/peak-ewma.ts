/**
 * Peak EWMA: the backend that is likely to answer first. Its cost is its latency × (requests in flight + 1) / weight.
 *
 * After Finagle's `PeakEwma` (com.twitter.finagle.loadbalancer). The latency is an exponentially weighted moving average over
 * DECAY_MS that a peak replaces at once, so that a backend that turns slow is left within one answer, and trusted again only
 * with time. It shrinks while nothing is heard, so that a slow backend is tried again some day.
 *
 * - Errors never look fast: a failure counts as FAILURE_MS at least, and as the slowest of all backends.
 * - A backend that has never answered costs nothing for its first request, and more than any other until the answer is
 *   there. Each thread sends one to find out, and no stampede.
 *
 * Latencies are what this thread has seen, requests in flight are those of all threads. Up to 16 backends all are looked at,
 * of more the better of two (two-choices.ts), but for a retry.
 */
import { Chance } from './chance.ts';
import type { Candidate, Preview, Strategy, StrategyContext } from './strategy.ts';
import { FULL_SCAN_MAX, TwoChoices } from './two-choices.ts';

/** Time constant of the average: what was seen so long ago counts 1/e. Finagle's default. */
const DECAY_MS = 10_000;

/** What a failure is taken for, if it was quicker. Far above a usual latency, yet forgotten within a minute or so. */
const FAILURE_MS = 1_000;

/** No answer is quicker than this, for what follows: 0 stands for "never answered". */
const MIN_MS = 0.001;

/** Instead of the latency of a backend whose first answer is awaited: above all that exist, however scaled. */
const UNKNOWN = 1e200;

/** How long costs are scaled to the same landmark: they are e^30 at most of what they stand for. */
const LANDMARK_MS = 30 * DECAY_MS;

/** What this thread knows of a backend. */
class Latency {
  /** Among the eligible; −1: not eligible now. */
  index = -1;
  /** The average when it was last told something; 0: no answer yet, or none for so long that it is forgotten. */
  averageMs = 0;
  toldAt = 0;
  /** Requests of this thread that wait for their answer. */
  pending = 0;
}

/** What its average is by now. */
function shrunk({ averageMs, toldAt }: Latency, now: number): number {
  return averageMs * Math.exp((toldAt - now) / DECAY_MS);
}

export class PeakEwma<C extends Candidate> implements Strategy<C> {
  readonly #context: StrategyContext;
  readonly #chance: Chance;
  readonly #choices: TwoChoices;
  /** By id, of those that are eligible or have requests under way. */
  readonly #latencies = new Map<number, Latency>();
  #eligible: readonly C[] = [];
  #cells: readonly Int32Array[] = [];
  #weights: Float64Array = new Float64Array(0);
  /**
   * Latency by weight. All averages shrink by the same factor in the same time: it is left out, and each is scaled to one
   * landmark in time instead ("forward decay": Cormode et al., ICDE 2009). A pick needs no clock and no exponential.
   */
  #prices: Float64Array = new Float64Array(0);
  #landmark: number;
  /** Within a pick: the indexes of those with the least cost. */
  #least: Int32Array = new Int32Array(0);

  constructor(context: StrategyContext) {
    this.#context = context;
    this.#chance = new Chance(context.random);
    this.#choices = new TwoChoices(this.#chance);
    this.#landmark = context.now();
  }

  rebuild(eligible: readonly C[]): void {
    this.#eligible = eligible;
    this.#cells = eligible.map((candidate) => candidate.inFlightCell);
    this.#weights = Float64Array.from(eligible, (candidate) => candidate.weight);
    this.#prices = new Float64Array(eligible.length);
    this.#least = new Int32Array(eligible.length);
    this.#choices.rebuild(this.#weights);
    for (const latency of this.#latencies.values()) latency.index = -1;
    for (const [index, candidate] of eligible.entries()) this.#latencyOf(candidate).index = index;
    for (const [id, latency] of this.#latencies) {
      if (latency.index === -1 && latency.pending === 0) this.#latencies.delete(id);
      else this.#price(latency);
    }
  }

  pick(_key: string, avoid: readonly C[] | null): C | null {
    const eligible = this.#eligible;
    if (avoid !== null || eligible.length <= FULL_SCAN_MAX) {
      return (
        this.#drawn(this.#find(avoid)) ?? (avoid === null ? null : this.#drawn(this.#find(null)))
      );
    }
    const choices = this.#choices;
    choices.draw();
    const { first, second } = choices;
    const prices = this.#prices;
    const cells = this.#cells;
    const firstCost = (prices[first] as number) * (((cells[first] as Int32Array)[0] as number) + 1);
    const secondCost =
      (prices[second] as number) * (((cells[second] as Int32Array)[0] as number) + 1);
    return eligible[secondCost < firstCost ? second : first] as C;
  }

  preview(key: string, avoid: readonly C[] | null): Preview<C> {
    const eligible = this.#eligible;
    const backend = this.#chance.foreseen(() => this.pick(key, avoid));
    if (backend === null) return { backend, draw: null };
    const idAt = (index: number): number => (eligible[index] as C).id;
    if (avoid === null && eligible.length > FULL_SCAN_MAX) {
      const { first, second } = this.#choices;
      return { backend, draw: { by: 'two', drawn: [idAt(first), idAt(second)] } };
    }
    const count = this.#find(avoid) || this.#find(null);
    const least = Array.from(this.#least.subarray(0, count), idAt);
    return { backend, draw: { by: 'least', least } };
  }

  /** In ms, as of now; more than all others of one whose first answer is awaited. */
  costOf({ id, inFlight }: C): number {
    const index = this.#latencies.get(id)?.index ?? -1;
    if (index === -1) return 0;
    const scale = Math.exp((this.#landmark - this.#context.now()) / DECAY_MS);
    return (this.#prices[index] as number) * scale * (inFlight + 1);
  }

  onStart(backend: C): void {
    const latency = this.#latencyOf(backend);
    latency.pending++;
    if (latency.averageMs === 0) this.#price(latency);
  }

  onFinish(backend: C, hasFailed: boolean, ms: number): void {
    const now = this.#now();
    const latency = this.#ended(backend);
    this.#tell(latency, now, hasFailed ? this.#failureMs(ms, now) : ms);
    this.#price(latency);
  }

  /** A hedge was quicker, or the client left: a backend that has become silent is noticed by that. */
  onCalledOff(backend: C, ms: number): void {
    const now = this.#now();
    const latency = this.#ended(backend);
    // Of one that was never heard, little is known by a little waiting.
    const known = latency.averageMs === 0 ? this.#slowest(now) : shrunk(latency, now);
    if (ms > known) this.#tell(latency, now, ms);
    this.#price(latency);
  }

  onBrokenOff(backend: C, ms: number): void {
    const now = this.#now();
    const latency = this.#latencyOf(backend);
    this.#tell(latency, now, this.#failureMs(ms, now));
    this.#price(latency);
  }

  #now(): number {
    const now = this.#context.now();
    if (now - this.#landmark > LANDMARK_MS) this.#moveLandmark(now);
    return now;
  }

  #ended(backend: C): Latency {
    const latency = this.#latencyOf(backend);
    // One that was begun before this strategy was in use was never counted.
    if (latency.pending > 0) latency.pending--;
    return latency;
  }

  #failureMs(ms: number, now: number): number {
    return Math.max(ms, FAILURE_MS, this.#slowest(now));
  }

  /** One of the first `count` of `#least`: equal ones are settled by chance. */
  #drawn(count: number): C | null {
    if (count === 0) return null;
    const index = this.#least[count === 1 ? 0 : this.#chance.below(count)] as number;
    return this.#eligible[index] as C;
  }

  /** Puts the indexes of those with the least cost that are not to be avoided into `#least`. @returns how many they are */
  #find(avoid: readonly C[] | null): number {
    const eligible = this.#eligible;
    const prices = this.#prices;
    const cells = this.#cells;
    const least = this.#least;
    let count = 0;
    let leastCost = Number.POSITIVE_INFINITY;
    for (let index = 0; index < eligible.length; index++) {
      if (avoid !== null && avoid.includes(eligible[index] as C)) continue;
      const inFlight = (cells[index] as Int32Array)[0] as number;
      const cost = (prices[index] as number) * (inFlight + 1);
      if (cost > leastCost) continue;
      if (cost < leastCost) {
        count = 0;
        leastCost = cost;
      }
      least[count++] = index;
    }
    return count;
  }

  #latencyOf(backend: C): Latency {
    let latency = this.#latencies.get(backend.id);
    if (latency === undefined) {
      latency = new Latency();
      this.#latencies.set(backend.id, latency);
    }
    return latency;
  }

  #tell(latency: Latency, now: number, ms: number): void {
    const heard = Math.max(ms, MIN_MS);
    if (heard >= latency.averageMs) {
      latency.averageMs = heard;
    } else {
      const kept = Math.exp((latency.toldAt - now) / DECAY_MS);
      latency.averageMs = latency.averageMs * kept + heard * (1 - kept);
    }
    latency.toldAt = now;
  }

  /** The longest of the averages, as they have shrunk by now. */
  #slowest(now: number): number {
    let slowest = 0;
    for (const latency of this.#latencies.values()) {
      slowest = Math.max(slowest, shrunk(latency, now));
    }
    return slowest;
  }

  #price(latency: Latency): void {
    const { index, averageMs, toldAt, pending } = latency;
    if (index === -1) return;
    const scaled = averageMs * Math.exp((toldAt - this.#landmark) / DECAY_MS);
    this.#prices[index] =
      (scaled === 0 && pending > 0 ? UNKNOWN : scaled) / (this.#weights[index] as number);
  }

  #moveLandmark(now: number): void {
    this.#landmark = now;
    for (const latency of this.#latencies.values()) this.#price(latency);
  }
}
