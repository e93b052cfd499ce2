/** Clients that ask two instances evenly, and what became of each request. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { afterTest } from '../../../support/after-test.ts';

export interface Asked {
  readonly status: number;
  readonly ms: number;
}

export interface Stretch {
  readonly seconds: number;
  readonly allowed: number;
  /** Neither 200 nor 429, or no answer. */
  readonly failed: readonly string[];
  readonly longestMs: number;
  readonly count: number;
}

export class SteadyLoad {
  readonly #pools: readonly Pool[];
  readonly #path: string;
  #asked: Asked[] = [];
  #failed: string[] = [];
  #underWay = new Set<Promise<void>>();

  constructor(urls: readonly string[], path: string) {
    this.#path = path;
    this.#pools = urls.map((url) => new Pool(url, { connections: 32 }));
    for (const pool of this.#pools) afterTest(() => pool.destroy());
  }

  /** Asks so often each second, of all instances in turn, and waits for what is under way then. */
  async run(perSecond: number, seconds: number): Promise<Stretch> {
    this.#asked = [];
    this.#failed = [];
    const startedAt = performance.now();
    let sent = 0;
    for (;;) {
      const elapsed = (performance.now() - startedAt) / 1000;
      if (elapsed >= seconds) break;
      for (; sent < elapsed * perSecond; sent++) this.ask(sent);
      await sleep(5);
    }
    await Promise.all(this.#underWay);
    return this.#stretch(startedAt);
  }

  /** So many requests, so many at a time. */
  async runAll(count: number, atATime: number): Promise<Stretch> {
    this.#asked = [];
    this.#failed = [];
    const startedAt = performance.now();
    let sent = 0;
    const one = async (): Promise<void> => {
      while (sent < count) await this.ask(sent++);
    };
    await Promise.all(Array.from({ length: atATime }, one));
    return this.#stretch(startedAt);
  }

  ask(index: number): Promise<void> {
    const pool = this.#pools[index % this.#pools.length] as Pool;
    const asking = this.#ask(pool);
    this.#underWay.add(asking);
    return asking.finally(() => this.#underWay.delete(asking));
  }

  async #ask(pool: Pool): Promise<void> {
    const startedAt = performance.now();
    try {
      const { statusCode: status, body } = await pool.request({ path: this.#path, method: 'GET' });
      await body.dump();
      this.#asked.push({ status, ms: performance.now() - startedAt });
      if (status !== 200 && status !== 429) this.#failed.push(String(status));
    } catch (error) {
      this.#failed.push(String(error));
    }
  }

  #stretch(startedAt: number): Stretch {
    return {
      seconds: (performance.now() - startedAt) / 1000,
      allowed: this.#asked.filter(({ status }) => status === 200).length,
      failed: this.#failed,
      longestMs: Math.max(0, ...this.#asked.map(({ ms }) => ms)),
      count: this.#asked.length,
    };
  }
}
