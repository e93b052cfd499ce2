/** What the script in Redis does, in a few lines, on a clock that the test moves. */
import type { CounterStore, Take, Taken } from '../../src/control/counter-engine/counter-store.ts';

export class ModelEngine implements Pick<CounterStore, 'take'> {
  readonly #now: () => number;
  readonly #due = new Map<string, number>();
  calls = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  forgetAll(): void {
    this.#due.clear();
  }

  take(asked: Take): Promise<Taken> {
    return Promise.resolve(this.takeNow(asked));
  }

  takeNow({ owner, key, limit: { rate, perMs, burst }, want, debtMs }: Take): Taken {
    this.calls++;
    const name = `${owner} ${key}`;
    const now = this.#now();
    const whole = (burst * perMs) / rate;
    let due = Math.min(Math.max(this.#due.get(name) ?? now, now + debtMs, now), now + whole);
    const granted = Math.min(want, Math.floor(((now + whole - due) * rate) / perMs + 1e-6));
    due += (granted * perMs) / rate;
    this.#due.set(name, due);
    const waitMs = granted < want ? due + perMs / rate - now - whole : 0;
    return { granted, waitMs, debtMs: due - now };
  }
}
