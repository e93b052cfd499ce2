/** What the log is told of places and descriptors that run short: once a minute, by one of the threads. */
import type { Scarce } from '../../snapshot/process-cells.ts';
import type { DataContext } from '../relay/context.ts';

const TELL_EVERY_SECONDS = 60;

/** Each is told of by itself: cells of the shared counters. */
const IDLE_CLOSED: Readonly<Record<Scarce, number>> = { limit: 0, descriptors: 1 };
const REFUSED: Readonly<Record<Scarce, number>> = { limit: 2, descriptors: 3 };
const ACCEPT_FAILED = 4;

export class PlacesLog {
  readonly #context: DataContext;

  constructor(context: DataContext) {
    this.#context = context;
  }

  idleClosed(scarce: Scarce): void {
    if (!this.#isTime(IDLE_CLOSED[scarce])) return;
    this.#log.warn(
      'clients.idle_closed',
      `${this.#shortage(scarce)}: those that have been idle for longest are closed to make room`,
      scarce,
    );
  }

  refused(scarce: Scarce): void {
    if (!this.#isTime(REFUSED[scarce])) return;
    this.#log.warn(
      'clients.refused',
      `${this.#shortage(scarce)}, and nobody is idle: new clients are closed`,
      scarce,
    );
  }

  acceptFailed(code: string): void {
    if (!this.#isTime(ACCEPT_FAILED)) return;
    this.#log.warn('clients.not_accepted', `the system can't accept a client: ${code}`, code);
  }

  readonly #log = {
    warn: (event: string, message: string, reason: string): void =>
      this.#context.post({ kind: 'log', level: 'warn', event, message, fields: { reason } }),
  };

  #isTime(topic: number): boolean {
    const { counters } = this.#context;
    const second = Math.floor(this.#context.processNowMs() / 1_000);
    return counters.mayTell(topic, second, TELL_EVERY_SECONDS);
  }

  #shortage(scarce: Scarce): string {
    const { descriptors, view } = this.#context;
    return scarce === 'limit'
      ? `all ${view.snapshot.limits.clientConnections} client connections are taken (limits.client_connections)`
      : `of ${descriptors.limit} file descriptors (ulimit -n) none is left for clients`;
  }
}
