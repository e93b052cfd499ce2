/**
 * Hands the sockets of this process to a new one, and leaves once that is ready. Until then nothing has happened: this one
 * accepts as before, and its queue of changes waits. So no change is made that the new one does not know.
 *
 * The state file is released before the new process starts, and is taken back if that fails. So it is with copies of a store.
 */
import type { Logger } from '../../observe/logger.ts';
import type { Actor } from '../audit.ts';
import type { Precondition, Versioned } from '../change-terms.ts';
import type { ClusterPort } from '../cluster-port.ts';
import type { Operator } from '../operator.ts';
import { tellMainPid, whyNotFollowed } from '../service-manager.ts';
import type { KeptState } from '../state/kept-state.ts';
import type { OperatorState } from '../state/operator-state.ts';
import { encodeState } from '../state/state-format.ts';
import { type Parting, Successor } from './successor.ts';

const READY_MS = 30_000;

/** Who wants it. */
export interface Asked {
  readonly by?: 'signal';
  readonly actor?: Actor;
}

/** Nothing was begun. */
export class UpgradeRefused extends Error {
  override readonly name = 'UpgradeRefused';
}

/** The new process was not ready: this one goes on. */
export class UpgradeFailed extends Error {
  override readonly name = 'UpgradeFailed';
}

export interface UpgradeOptions {
  readonly log: Logger;
  readonly operator: Pick<Operator, 'inTurn' | 'handOver'>;
  readonly kept: Pick<KeptState, 'close' | 'takeBack' | 'handOver'>;
  readonly keptState: () => OperatorState;
  readonly version: () => Versioned;
  /** Copies of the store of a cluster. Undefined: there is no cluster. */
  readonly copies?: Pick<ClusterPort, 'makeWay' | 'goOn'> | undefined;
  /** But for what operators have changed. */
  readonly parting: () => Omit<Parting, 'state'>;
  /** Why nothing can be upgraded now; undefined: it can. */
  readonly whyNot: () => string | undefined;
  /** The new one has all: this one drains. */
  readonly onHandedOver: (pid: number) => void;
  readonly readyMs?: number;
  readonly command?: readonly string[];
}

export class Upgrade {
  readonly #options: UpgradeOptions;
  #current: { readonly running: Promise<number>; readonly ending: AbortController } | undefined;
  #heir: number | undefined;

  constructor(options: UpgradeOptions) {
    this.#options = options;
  }

  get isHandedOver(): boolean {
    return this.#heir !== undefined;
  }

  /** Resolves with the id of the process that has taken over. Logged, whatever comes of it. @throws UpgradeRefused, UpgradeFailed */
  async run(asked: Asked, precondition?: Precondition): Promise<number> {
    const { log, operator, version } = this.#options;
    precondition?.(version());
    const why = this.#whyNot();
    if (why !== undefined) {
      log.warn('upgrade.refused', `no upgrade: ${why}`, { ...asked });
      throw new UpgradeRefused(`No upgrade: ${why}.`);
    }
    let hasBegun = false;
    const ending = new AbortController();
    const running = operator.inTurn(() => {
      precondition?.(version());
      hasBegun = true;
      return this.#run(ending.signal, asked);
    });
    this.#current = { running, ending };
    try {
      return await running;
    } catch (error) {
      if (!hasBegun) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      const fate = ending.signal.aborted
        ? `the upgrade is called off: ${reason}`
        : `the upgrade failed, and this process goes on: ${reason}`;
      log.error('upgrade.failed', fate, { reason, ...asked });
      if (ending.signal.aborted) throw new UpgradeFailed(`The upgrade is called off: ${reason}`);
      throw new UpgradeFailed(`The upgrade failed, and the old process goes on: ${reason}`);
    } finally {
      this.#current = undefined;
    }
  }

  /** This process is about to end: what is under way ends first. */
  async cancel(): Promise<void> {
    this.#current?.ending.abort();
    await this.#current?.running.catch(() => {});
  }

  #whyNot(): string | undefined {
    if (this.#heir !== undefined) return `process ${this.#heir} has taken over already`;
    if (this.#current !== undefined) return 'one is under way';
    return this.#options.whyNot() ?? whyNotFollowed(process.env, process.pid);
  }

  async #run(ending: AbortSignal, asked: object): Promise<number> {
    const { log, kept, copies, keptState, parting, command, onHandedOver, operator } =
      this.#options;
    // Else one of before may be written over what the new one has written.
    await Promise.all([kept.close(), copies?.makeWay()]);
    const state = keptState();
    let successor: Successor | undefined;
    try {
      // Without a descriptor or memory for it, this fails.
      successor = new Successor({ ...parting(), state: encodeState(state) }, command);
      const { pid } = successor;
      log.info('upgrade.begun', `an upgrade: process ${pid} starts, to take over`, {
        successor: pid,
        ...asked,
      });
      const why = await this.#whyUnready(successor, ending);
      if (why !== undefined || pid === undefined) throw new Error(why ?? 'it was not started');
      await tellMainPid(process.env, pid);
      this.#heir = pid;
      successor.letGo();
      kept.handOver();
      operator.handOver();
      log.info('upgrade.handed_over', `process ${pid} has taken over: this one drains`, {
        successor: pid,
      });
      // Whoever has asked for it is answered first.
      setImmediate(onHandedOver, pid);
      return pid;
    } catch (error) {
      await successor?.kill();
      await kept.takeBack(state);
      copies?.goOn();
      throw error;
    }
  }

  /** Undefined: it is ready. */
  async #whyUnready(successor: Successor, ending: AbortSignal): Promise<string | undefined> {
    const { readyMs = READY_MS } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const givenUp = new Promise<string>((resolve) => {
      const end = (): void => resolve('this process ends');
      if (ending.aborted) end();
      ending.addEventListener('abort', end, { once: true });
      timer = setTimeout(() => resolve(`it was not ready within ${readyMs / 1000} s`), readyMs);
    });
    const outcome = successor.outcome.then((it) => (it.kind === 'ready' ? undefined : it.why));
    const why = await Promise.race([outcome, givenUp]);
    clearTimeout(timer);
    return why;
  }
}
