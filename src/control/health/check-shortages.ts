/**
 * Checks that came to no verdict, because something was short on our side. Said once for all backends that it concerns, and
 * again when it is over.
 */
import type { Logger } from '../../observe/logger.ts';
import { shortageOf } from '../../snapshot/own-shortage.ts';
import type { Backend } from '../backend.ts';

export class CheckShortages {
  readonly #log: Logger;
  /** What is short, and the backends that can't be checked for it. */
  readonly #concerned = new Map<string, Set<number>>();

  constructor(log: Logger) {
    this.#log = log;
  }

  met({ id, address }: Backend, code: string, detail: string): void {
    // Descriptors are the whole process's; a name is one backend's.
    const what = shortageOf(code) === 'resolver' ? `${code} for ${address.host}` : code;
    this.over(id, what);
    const concerned = this.#concerned.get(what);
    if (concerned !== undefined) {
      concerned.add(id);
      return;
    }
    this.#concerned.set(what, new Set([id]));
    this.#log.warn(
      'health_check.inconclusive',
      `a health check came to no verdict, and every backend stays as it is: ${detail}`,
      { shortage: what, backend: address.url, reason: detail },
    );
  }

  /** A check of this backend came to a verdict, or there will be none any more. @param but this goes on. */
  over(id: number, but?: string): void {
    for (const [what, concerned] of this.#concerned) {
      if (what === but || !concerned.delete(id) || concerned.size > 0) continue;
      this.#concerned.delete(what);
      this.#log.info('health_check.conclusive', `health checks come to verdicts again (${what})`, {
        shortage: what,
      });
    }
  }
}
