/** How requests fared lately: what was judged and what of it was a fault, over a sliding time. */

interface Sample {
  readonly at: number;
  readonly judged: number;
  readonly faults: number;
}

export class FaultWindow {
  #samples: Sample[] = [];
  #judged = 0;
  #faults = 0;

  get judged(): number {
    return this.#judged;
  }

  /** What came since the last call; what is older than `intervalMs` is forgotten. */
  add(at: number, judged: number, faults: number, intervalMs: number): void {
    if (judged > 0) {
      this.#samples.push({ at, judged, faults });
      this.#judged += judged;
      this.#faults += faults;
    }
    const kept = this.#samples.findIndex((sample) => sample.at > at - intervalMs);
    for (const old of this.#samples.splice(0, kept === -1 ? this.#samples.length : kept)) {
      this.#judged -= old.judged;
      this.#faults -= old.faults;
    }
  }

  /** At least so many were judged, and at least so many in a hundred of them were faults. */
  isOver(minRequests: number, failurePercent: number): boolean {
    return (
      this.#faults > 0 &&
      this.#judged >= minRequests &&
      this.#faults * 100 >= failurePercent * this.#judged
    );
  }

  /** `55 % of 40 requests failed` */
  describe(): string {
    const percent = this.#judged === 0 ? 0 : Math.round((this.#faults / this.#judged) * 100);
    return `${percent} % of ${this.#judged} requests failed`;
  }

  clear(): void {
    this.#samples = [];
    this.#judged = 0;
    this.#faults = 0;
  }
}
