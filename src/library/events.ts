/** What a proxy tells of itself: each thing that is worth a line in its log, by the same names. */

export const EVENT_NAMES = [
  'access_log.failed',
  'access_log.no_file',
  'access_log.not_reopened',
  'access_log.reopened',
  'admin.crowded',
  'admin.failed',
  'admin.guessed',
  'backend.added',
  'backend.checked_by_tcp',
  'backend.down',
  'backend.drained',
  'backend.draining',
  'backend.ejected',
  'backend.found',
  'backend.lookup_failed',
  'backend.moved',
  'backend.removal_failed',
  'backend.removed',
  'backend.requests_cut',
  'backend.returned',
  'backend.tunnels_cut',
  'backend.up',
  'backend.updated',
  'backends.none',
  'breaker.closed',
  'breaker.half_open',
  'breaker.opened',
  'certificate.expires',
  'certificate.refused',
  'certificates.changed',
  'certificates.failed',
  'clients.idle_closed',
  'clients.not_accepted',
  'clients.refused',
  'config.file',
  'config.note',
  'config.overridden',
  'config.refused',
  'config.reloaded',
  'config.reset',
  'connection.crashed',
  'control.failed',
  'data_thread.died',
  'data_thread.exception',
  'data_thread.listen_failed',
  'data_thread.not_started',
  'data_thread.sockets_not_kept',
  'data_thread.stuck',
  'discovery.failed',
  'discovery.left_out',
  'discovery.not_applied',
  'discovery.recovered',
  'discovery.too_many',
  'drain.cut_off',
  'function.failed',
  'health_check.conclusive',
  'health_check.inconclusive',
  'killed',
  'listener.client_fault',
  'listener.lost',
  'listener.no_proxy_header',
  'listener.unused_socket',
  'listening',
  'memory.limited',
  'ocsp.failed',
  'pool.panic',
  'pool.panic_over',
  'request.failed',
  'routes.changed',
  'service_manager.not_told',
  'state_file.behind',
  'state_file.damaged',
  'state_file.in_place',
  'state_file.in_use',
  'state_file.not_locked',
  'state_file.not_saved',
  'state_file.not_writable',
  'stopped',
  'stopping',
  'strategy.changed',
  'threads.settled',
  'tokens.changed',
  'tokens.failed',
  'tokens.refused',
  'tracing.failed',
  'upgrade.begun',
  'upgrade.failed',
  'upgrade.handed_over',
  'upgrade.refused',
  'upgrade.taken_up',
] as const;

export type ProxyEventName = (typeof EVENT_NAMES)[number];

export interface ProxyEvent {
  /** Such as `backend.down`. */
  readonly event: string;
  readonly level: 'info' | 'warn' | 'error' | 'fatal';
  /** For people. */
  readonly message: string;
  /** For programs: `backend`, `id`, `pool` and the like. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly time: Date;
}

interface LogLine {
  readonly level: ProxyEvent['level'];
  readonly time: string;
  readonly event: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export type ProxyListener = (event: ProxyEvent) => void;

export class ProxyEvents {
  readonly #listeners = new Map<string, Set<ProxyListener>>();

  on(name: ProxyEventName | '*', listener: ProxyListener): void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
  }

  off(name: ProxyEventName | '*', listener: ProxyListener): void {
    this.#listeners.get(name)?.delete(listener);
  }

  /**
   * In a turn of its own, so that a listener that throws is its owner's fault, and no step of ours is cut short.
   * @param line as `GET /events` sends it.
   */
  readonly tell = (name: string, line: string): void => {
    const listeners = [...(this.#listeners.get(name) ?? []), ...(this.#listeners.get('*') ?? [])];
    if (listeners.length === 0) return;
    const event = eventOf(name, line);
    for (const listener of listeners) queueMicrotask(() => listener(event));
  };
}

function eventOf(event: string, line: string): ProxyEvent {
  const { level, time, event: _event, msg, ...fields } = JSON.parse(line) as LogLine;
  return { event, level, message: msg, fields, time: new Date(time) };
}
