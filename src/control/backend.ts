/** One backend as the control plane sees it. */
import type { BackendAddress } from '../config/settings.ts';
import type { AdminState, BackendSource } from './operator-state.ts';

export type Health = 'unknown' | 'healthy' | 'unhealthy';

/** One backend as the control plane sees it. The object is live: read it, do not keep copies of its values. */
export interface Backend {
  readonly id: number;
  readonly address: BackendAddress;
  readonly weight: number;
  readonly adminState: AdminState;
  readonly source: BackendSource;
  readonly health: Health;
  /** Clock time of the last finished check, in ms; undefined before the first. */
  readonly lastCheck: number | undefined;
  /** Clock time when `alive` last changed (at first: when the backend came). */
  readonly lastChange: number;
  /** Why health is what it is: what was tried and what came. */
  readonly lastReason: string | undefined;
  readonly counters: SharedArrayBuffer;
}

/** Whether requests may go there. */
export function isAlive(backend: Backend): boolean {
  return backend.adminState === 'enabled' && backend.health === 'healthy';
}
