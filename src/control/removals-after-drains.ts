/** Backends that are removed once they have drained: when that is, and whether it is still wanted then. */
import type { Logger } from '../observe/logger.ts';
import type { Backend } from './backend.ts';
import { removalFailed } from './backend-log.ts';
import { NotShared } from './cluster-port.ts';
import type { Drains } from './drains.ts';
import type { LeavingBackends } from './leaving-backends.ts';
import { ChangeRefused, SaveFailed } from './plan.ts';
import type { Registry } from './registry.ts';
import { HandedOver } from './upgrade/handover.ts';

/** After a removal that the store, or the disk, has not taken. */
const AGAIN_MS = 5_000;

export interface RemovalsAfterDrainsOptions {
  readonly registry: Registry;
  readonly drains: Drains;
  readonly leaving: LeavingBackends;
}

export class RemovalsAfterDrains {
  readonly #options: RemovalsAfterDrainsOptions;

  constructor(options: RemovalsAfterDrainsOptions) {
    this.#options = options;
  }

  /**
   * Of a backend whose drain has begun just now.
   * @param remove when its turn comes, somebody may have called the removal off, or begun it anew, and has been told that it is: then its guard throws.
   */
  whenOver(
    { backend, log }: { readonly backend: Backend; readonly log: Logger },
    drainMs: number,
    remove: (guard: () => void) => Promise<unknown>,
  ): void {
    const { id } = backend;
    const { drains, leaving } = this.#options;
    const deadline = performance.now() + drainMs;
    const isOver = () => drains.isDrained(backend) || performance.now() >= deadline;
    const guard = this.leavesStill(id);
    const finish = (isFirst: boolean): void => {
      remove(guard).catch((error: unknown) => {
        // The new process finishes it.
        if (error instanceof HandedOver) return;
        if (isFirst) removalFailed(log, backend, error);
        const isLater = error instanceof NotShared || error instanceof SaveFailed;
        if (!isLater || !this.#isLeaving(id)) return;
        leaving.again(id, AGAIN_MS, () => finish(false));
      });
    };
    leaving.when(id, isOver, () => finish(true));
  }

  /** @returns throws `ChangeRefused` when the backend is not on its way out any more, or begins anew. */
  leavesStill(id: number): () => void {
    const { drains } = this.#options;
    const drain = drains.underWay(id);
    return () => {
      if (this.#isLeaving(id) && drains.underWay(id) === drain) return;
      throw new ChangeRefused('unknown-backend', `Backend ${id} is not on its way out any more.`);
    };
  }

  #isLeaving(id: number): boolean {
    return this.#options.registry.poolOf(id)?.isLeaving(id) === true;
  }
}
