/** For each certificate that was issued, when it is to be renewed: by its life, or as its authority says, which is asked now and then. */
import type { Certificate } from '../../config/certificates/certificate-facts.ts';
import type { Logger } from '../../observe/logger.ts';
import { type RenewalInfo, readRenewalInfo } from './renewal-info.ts';
import { type RenewalWindow, renewalIdOf, renewalTime } from './renewal-time.ts';
import type { Wanted } from './wanted.ts';

const HOUR_MS = 3_600_000;
/** Then whatever else is due has its turn. */
const MOST_IN_A_ROW = 8;

interface Plan {
  readonly fingerprint: string;
  readonly id: string | undefined;
  window: RenewalWindow | undefined;
  explanation: string;
  askAtMs: number;
}

export interface RenewalPlansOptions {
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly read?: typeof readRenewalInfo;
}

export class RenewalPlans {
  readonly #options: RenewalPlansOptions;
  /** By `Wanted.id`. */
  readonly #plans = new Map<string, Plan>();
  #isAsking = false;

  constructor(options: RenewalPlansOptions) {
    this.#options = options;
  }

  renewAtMs({ id }: Wanted, { facts }: Certificate): number {
    return renewalTime(facts, this.#planOf(id, facts.fingerprint)?.window);
  }

  /** A page of the authority that says why it is to be renewed then; empty: none. */
  explanationOf({ id }: Wanted): string {
    return this.#plans.get(id)?.explanation ?? '';
  }

  /** What the authority calls it, where it is known by now that it knows of renewals. */
  renewalIdOf({ id }: Wanted, { facts, cert }: Certificate): string | undefined {
    const plan = this.#planOf(id, facts.fingerprint);
    return plan === undefined ? renewalIdOf(cert) : plan.id;
  }

  /** When an authority is to be asked next. */
  nextMs(): number {
    return Math.min(Infinity, ...Array.from(this.#plans.values(), ({ askAtMs }) => askAtMs));
  }

  /** @param served what there is. */
  sync(served: ReadonlyMap<Wanted, Certificate>): void {
    const ids = new Set(Array.from(served.keys(), ({ id }) => id));
    for (const id of this.#plans.keys()) if (!ids.has(id)) this.#plans.delete(id);
    for (const [{ id }, { cert, facts }] of served) {
      const { fingerprint } = facts;
      if (this.#planOf(id, fingerprint) !== undefined) continue;
      this.#plans.set(id, {
        fingerprint,
        id: renewalIdOf(cert),
        window: undefined,
        explanation: '',
        askAtMs: this.#options.nowMs(),
      });
    }
  }

  /** Asks for those for which it is time, one after the other; what is more than a few comes with the next call. @returns whether any time may be another now. Never rejects. */
  async ask(wanted: readonly Wanted[]): Promise<boolean> {
    if (this.#isAsking) return false;
    this.#isAsking = true;
    let asked = 0;
    try {
      for (const one of wanted) {
        const plan = this.#plans.get(one.id);
        const { signal, nowMs } = this.#options;
        if (plan === undefined || plan.askAtMs > nowMs() || signal.aborted) continue;
        if (plan.id === undefined) {
          plan.askAtMs = Infinity;
          continue;
        }
        if (asked === MOST_IN_A_ROW) break;
        asked++;
        await this.#askFor(one, plan, plan.id);
      }
    } finally {
      this.#isAsking = false;
    }
    return asked > 0;
  }

  async #askFor({ name, settings }: Wanted, plan: Plan, id: string): Promise<void> {
    const { signal, nowMs, random, read = readRenewalInfo } = this.#options;
    try {
      const { directoryUrl, caFile } = settings;
      const info = await read(id, { directoryUrl, caFile, signal, nowMs });
      this.#heed(name, plan, info);
    } catch {
      // What it has said before counts on; without that, two thirds of the life. If it can't be reached, that is told with the order.
      plan.askAtMs = nowMs() + HOUR_MS * (1 + random());
    }
  }

  #heed(name: string, plan: Plan, { window, explanation, againMs }: RenewalInfo): void {
    const { nowMs, random, log } = this.#options;
    const isEarlier =
      plan.window !== undefined && window !== undefined && window.endMs < plan.window.startMs;
    plan.window = window;
    plan.explanation = explanation;
    plan.askAtMs = nowMs() + againMs * (1 + random() / 10);
    if (!isEarlier) return;
    const end = new Date(window.endMs).toISOString();
    const why = explanation === '' ? '' : `: ${explanation}`;
    log.warn('certificate.renewal_moved', `the authority wants ${name} renewed by ${end}${why}`, {
      name,
    });
  }

  #planOf(id: string, fingerprint: string): Plan | undefined {
    const plan = this.#plans.get(id);
    return plan?.fingerprint === fingerprint ? plan : undefined;
  }
}
