/** What follows when the name of a backend has moved, or can't be looked up any more. */
import type { DataContext } from './relay/context.ts';
import type { LookupListener } from './stream/lookups.ts';

const TELL_EVERY_SECONDS = 60;

/** Cells of the shared counters, as in places-log.ts: one of the threads tells the log. */
const FAILED = 5;
const MOVED = 6;

export class NameWatch implements LookupListener {
  readonly #context: DataContext;

  constructor(context: DataContext) {
    this.#context = context;
  }

  onMoved(host: string, addresses: ReadonlySet<string>): void {
    const { barrier, view } = this.#context;
    for (const backend of view.backends.values()) {
      if (backend.spec.host !== host) continue;
      barrier.run('the move of a backend', () => backend.moved(addresses));
    }
    if (!this.#isTime(MOVED)) return;
    const now = [...addresses].join(', ');
    this.#log.info('backend.moved', `${host} leads to ${now} now`, { host, addresses: now });
  }

  onRefreshFailed(host: string, error: Error): void {
    if (!this.#isTime(FAILED)) return;
    const reason = error.message;
    this.#log.warn(
      'backend.lookup_failed',
      `${host} can't be looked up: its last addresses stay in use for up to five minutes`,
      { host, reason },
    );
  }

  readonly #log = {
    info: (event: string, message: string, fields: Record<string, string>): void =>
      this.#context.post({ kind: 'log', level: 'info', event, message, fields }),
    warn: (event: string, message: string, fields: Record<string, string>): void =>
      this.#context.post({ kind: 'log', level: 'warn', event, message, fields }),
  };

  #isTime(topic: number): boolean {
    const { counters } = this.#context;
    const second = Math.floor(this.#context.processNowMs() / 1_000);
    return counters.mayTell(topic, second, TELL_EVERY_SECONDS);
  }
}
