/** Reads the config again when asked to, counts how that went, and tells of it. */

import type { FileFault } from '../../config/certificates/kept-certificates.ts';
import { type ConfigChange, configChanges } from '../../config/diff.ts';
import { changedPaths } from '../../config/effective/effective.ts';
import { placeOfSource } from '../../config/effective/value-place.ts';
import type { LoadResult } from '../../config/load.ts';
import { formatProblem, withoutExcerpts } from '../../config/problem.ts';
import { DEFAULT_POOL, type Settings } from '../../config/settings.ts';
import type { Logger } from '../../observe/logger.ts';
import { type Actor, beforeAndAfter } from '../audit.ts';
import { notesOnFaults } from '../certificates/read-again.ts';
import type { Precondition } from '../change-terms.ts';
import type { RefusedReload, ReloadCounts } from '../collect-metrics.ts';
import type { FairleadContext } from '../context.ts';
import type { AccessSwap, Logs } from '../logs.ts';
import type { Operator } from '../operator.ts';
import { poolLog } from '../pool-log.ts';
import type { Registry } from '../registry.ts';
import { countChanges } from '../state/operator-state.ts';
import { describeOverride } from '../state/overrides.ts';
import {
  ConfigRefused,
  describeReload,
  loadForReload,
  type ReloadOutcome,
  RestartNeeded,
} from './reload.ts';

/** More of them stand in the fields of the line, and `fairlead check` lists all. */
const PROBLEMS_SAID = 3;
const CHANGES_SAID = 3;
/** In the fields. */
const MOST_CHANGES = 50;
/** A whole pool with all its backends has no place in a line of the log. */
const MOST_VALUES_LENGTH = 1000;

export interface ReloadsOptions {
  readonly context: FairleadContext;
  readonly registry: Registry;
  readonly operator: Operator;
  readonly logs: Logs;
  /** Opens what it listens on beyond what is open. @throws ConfigRefused; then nothing has changed. */
  readonly openListeners: (loaded: Extract<LoadResult, { ok: true }>) => Promise<void>;
  /** What the start has told of the config. */
  readonly notes: readonly string[];
}

/** Who wants a reload, and on which terms. */
export interface ReloadRequest {
  readonly precondition?: Precondition | undefined;
  /** `watch`: the change of the file; `signal`: SIGHUP; `program`: the one that Fairlead is a part of. Undefined: whoever `actor` is. */
  readonly by?: 'watch' | 'signal' | 'program';
  readonly actor?: Actor;
}

export class Reloads {
  readonly counts: ReloadCounts = {
    succeeded: 0,
    failed: 0,
    lastSuccess: undefined,
    refused: null,
  };
  readonly #context: FairleadContext;
  readonly #registry: Registry;
  readonly #operator: Operator;
  readonly #logs: Logs;
  readonly #openListeners: ReloadsOptions['openListeners'];
  /** Those of the config in force: they have been told. */
  #notes: readonly string[];
  /** What was refused before the file looked cut off; undefined: it does not, as far as is known. */
  #refusedBefore: RefusedReload | null | undefined;

  constructor({ context, registry, operator, logs, openListeners, notes }: ReloadsOptions) {
    this.#context = context;
    this.#registry = registry;
    this.#operator = operator;
    this.#logs = logs;
    this.#openListeners = openListeners;
    this.#notes = notes;
  }

  /** Told of the settings after each reload that was not refused, and of files that are broken all the same. */
  onReloaded: (settings: Settings, faults: readonly FileFault[]) => void = () => {};

  /** Logged, whatever comes of it; what is refused is thrown as well. */
  async reload({ precondition, ...asked }: ReloadRequest = {}): Promise<ReloadOutcome> {
    const registry = this.#registry;
    const { log } = this.#logs;
    const { counts } = this;
    const context = this.#context;
    let before: unknown;
    const was: { settings?: Settings; strategies?: ReadonlyMap<string, string> } = {};
    let isRead = false;
    let notes: readonly string[] = [];
    let faults: readonly FileFault[] = [];
    try {
      const hasChanged = await this.#operator.reload(async () => {
        isRead = true;
        before = context.effectiveConfig().config;
        was.settings = registry.settings;
        was.strategies = strategiesOf(registry);
        const loaded = await loadForReload(context, registry.settings);
        const accessLog = prepareLogs(this.#logs, loaded);
        try {
          await this.#openListeners(loaded);
        } catch (error) {
          accessLog.cancel();
          throw error;
        }
        accessLog.take();
        ({ notes, faults = [] } = loaded);
        context.taken(loaded);
        return loaded.settings;
      }, precondition);
      this.#logs.setLevel(registry.settings.logLevel);
      this.onReloaded(registry.settings, faults);
      counts.succeeded++;
      counts.lastSuccess = Date.now();
      this.#setRefused(null);
      const changes =
        hasChanged && was.settings !== undefined
          ? configChanges(was.settings, registry.settings)
          : [];
      const outcome = {
        hasChanged,
        changed: changedPaths(before, context.effectiveConfig().config),
        notes: [...notesOnFaults(faults), ...notes],
      };
      log.info('config.reloaded', `config ${describeReload(outcome)}`, {
        generation: registry.generation,
        changed: outcome.changed,
        api_changes: countChanges(registry.operatorState),
        ...tellable(changes),
        ...asked,
      });
      this.#tellParts(changes, was.strategies ?? new Map(), asked);
      tellNotes(
        notes.filter((note) => !this.#notes.includes(note)),
        log,
      );
      this.#notes = notes;
      tellOverrides(registry, log);
      return outcome;
    } catch (error) {
      counts.failed++;
      const reason = whatIsWrong(error, asked);
      // Terms of a call that were not met say nothing of the file.
      if (isRead) this.#setRefused({ at: new Date(), reason });
      log.error('config.refused', `the reload was refused: ${reason}`, {
        ...(error instanceof ConfigRefused && { problems: withoutExcerpts(error.problems) }),
        ...(error instanceof RestartNeeded && { keys: error.keys }),
        ...asked,
      });
      throw error;
    }
  }

  /** What others may follow without reading what a reload is about. */
  #tellParts(
    changes: readonly ConfigChange[],
    strategies: ReadonlyMap<string, string>,
    asked: ReloadRequest,
  ): void {
    const all = this.#logs.log;
    for (const [pool, strategy] of strategiesOf(this.#registry)) {
      const before = strategies.get(pool);
      if (before === undefined || before === strategy) continue;
      const whose = pool === DEFAULT_POOL ? '' : ` of pool ${pool}`;
      const log = poolLog(all, pool);
      log.info('strategy.changed', `the strategy${whose} is ${strategy}`, {
        strategy,
        ...beforeAndAfter({ strategy: before }, { strategy }),
        by: 'reload',
        ...(asked.actor && { actor: asked.actor }),
      });
    }
    const ofRoutes = changes.filter(({ path }) => /^routes\b/.test(path));
    if (ofRoutes.length === 0) return;
    const log = all;
    const which = Array.from(new Set(ofRoutes.slice(0, CHANGES_SAID).map(({ path }) => path)));
    log.info('routes.changed', `routes have changed: ${which.join(', ')}`, {
      ...tellable(ofRoutes),
      ...asked,
    });
  }

  /** What the watch has found may be a file that is being written. */
  refuseCutOff(): void {
    const { counts } = this;
    counts.failed++;
    const message =
      'the config file was not read: it looks cut off, as it is the beginning of the one in force; reload by SIGHUP or POST /reload if it is meant';
    if (this.#refusedBefore === undefined) this.#refusedBefore = counts.refused;
    counts.refused = { at: new Date(), reason: message };
    this.#logs.log.error('config.refused', message, { by: 'watch', cut_off: true });
  }

  /** The file is what it was when it was last read. */
  noLongerCutOff(): void {
    if (this.#refusedBefore !== undefined) this.#setRefused(this.#refusedBefore);
  }

  #setRefused(refused: RefusedReload | null): void {
    this.counts.refused = refused;
    this.#refusedBefore = undefined;
  }
}

/** By the name of the pool. */
function strategiesOf(registry: Registry): ReadonlyMap<string, string> {
  return new Map(registry.pools().map(({ name, strategy }) => [name, strategy]));
}

/** The first of them, with how many there are more. */
function tellable(changes: readonly ConfigChange[]): {
  readonly changes?: readonly ConfigChange[];
  readonly changes_left_out?: number;
} {
  if (changes.length === 0) return {};
  const left = changes.length - MOST_CHANGES;
  return {
    changes: changes.slice(0, MOST_CHANGES).map(brief),
    ...(left > 0 && { changes_left_out: left }),
  };
}

function brief(one: ConfigChange): ConfigChange {
  const { path, change, before, after } = one;
  return JSON.stringify([before, after]).length > MOST_VALUES_LENGTH ? { path, change } : one;
}

/** @throws ConfigRefused */
function prepareLogs(logs: Logs, loaded: Extract<LoadResult, { ok: true }>): AccessSwap {
  try {
    return logs.prepare(loaded.settings);
  } catch (error) {
    const message = `can't be opened: ${error instanceof Error ? error.message : String(error)}`;
    const path = 'access_log';
    const place = placeOfSource(loaded.origins.get(path));
    throw new ConfigRefused([{ ...place, path, message }]);
  }
}

/** Nothing is wrong, but somebody may want to know. */
export function tellNotes(notes: readonly string[], log: Logger): void {
  for (const note of notes) log.warn('config.note', note);
}

/** Who edits the config and sees nothing change shall find out why. */
export function tellOverrides(registry: Registry, log: Logger): void {
  const overrides = registry.overrides();
  if (overrides.length === 0) return;
  const all = overrides.map(describeOverride).join(', ');
  const message = `set through the admin API, which wins: ${all}; fairlead reset drops that`;
  log.warn('config.overridden', message, { overrides });
}

/** On a terminal the message is all that is seen of it. */
function whatIsWrong(error: unknown, { by }: ReloadRequest): string {
  if (error instanceof RestartNeeded) {
    // A program that Fairlead is a part of is replaced by whoever runs that.
    return by === 'program'
      ? error.message
      : `${error.message} "fairlead upgrade" restarts without a gap`;
  }
  if (!(error instanceof ConfigRefused)) {
    return error instanceof Error ? error.message : String(error);
  }
  const { problems } = error;
  // Viewers read the log, too.
  const said = withoutExcerpts(problems.slice(0, PROBLEMS_SAID)).map(formatProblem);
  const more = problems.length - said.length;
  return `${said.join('; ')}${more > 0 ? `; and ${more} more` : ''}. Nothing was changed`;
}
