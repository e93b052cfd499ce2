/** Says what of the store is not run on as it is: when that changes, and not at each change of the rest. */
import type { Logger } from '../../observe/logger.ts';
import type { Refusal } from './accepted-objects.ts';

const MOST_TOLD = 10;

export class RefusalLog {
  readonly #log: Logger;
  #told = '[]';

  constructor(log: Logger) {
    this.#log = log;
  }

  tell(refusals: readonly Refusal[]): void {
    const log = this.#log;
    const text = JSON.stringify(refusals);
    if (text === this.#told) return;
    this.#told = text;
    if (refusals.length === 0) {
      log.info('cluster.objects_valid', 'all that the store holds is run on again');
      return;
    }
    for (const { key, reason } of refusals.slice(0, MOST_TOLD)) {
      const message = `${key} is not run on as it is: ${reason}`;
      log.error('cluster.object_refused', message, { key, reason, count: refusals.length });
    }
  }
}
