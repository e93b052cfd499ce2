/** Reads the config again when asked to, counts how that went, and tells of it. */
import { changedPaths } from '../config/effective.ts';
import type { FileFault } from '../config/kept-certificates.ts';
import type { LoadResult } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import type { Settings } from '../config/settings.ts';
import type { Logger } from '../observe/logger.ts';
import { notesOnFaults } from './certificates/read-again.ts';
import type { ReloadCounts } from './collect-metrics.ts';
import type { FairleadContext } from './context.ts';
import type { Logs } from './logs.ts';
import type { Operator, Precondition } from './operator.ts';
import { countChanges } from './operator-state.ts';
import { describeOverride } from './overrides.ts';
import type { Registry } from './registry.ts';
import { ConfigRefused, describeReload, loadForReload, type ReloadOutcome } from './reload.ts';

/** More of them stand in the fields of the line, and `fairlead check` lists all. */
const PROBLEMS_SAID = 3;

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

export class Reloads {
  readonly counts: ReloadCounts = { succeeded: 0, failed: 0, lastSuccess: undefined };
  readonly #context: FairleadContext;
  readonly #registry: Registry;
  readonly #operator: Operator;
  readonly #logs: Logs;
  readonly #openListeners: ReloadsOptions['openListeners'];
  /** Those of the config in force: they have been told. */
  #notes: readonly string[];

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

  /**
   * Logged, whatever comes of it; what is refused is thrown as well.
   * @param isWatched it was the change of the file that asked for it.
   */
  async reload(precondition?: Precondition, isWatched = false): Promise<ReloadOutcome> {
    const by = isWatched ? { by: 'watch' } : {};
    const registry = this.#registry;
    const { log } = this.#logs;
    const { counts } = this;
    const context = this.#context;
    let before: unknown;
    let notes: readonly string[] = [];
    let faults: readonly FileFault[] = [];
    try {
      const hasChanged = await this.#operator.reload(async () => {
        before = context.effectiveConfig().config;
        const loaded = await loadForReload(context, registry.settings);
        await this.#openListeners(loaded);
        ({ notes, faults = [] } = loaded);
        context.taken(loaded);
        return loaded.settings;
      }, precondition);
      this.#logs.setLevel(registry.settings.logLevel);
      this.onReloaded(registry.settings, faults);
      counts.succeeded++;
      counts.lastSuccess = Date.now();
      const outcome = {
        hasChanged,
        changed: changedPaths(before, context.effectiveConfig().config),
        notes: [...notesOnFaults(faults), ...notes],
      };
      log.info('config.reloaded', `config ${describeReload(outcome)}`, {
        generation: registry.generation,
        changed: outcome.changed,
        api_changes: countChanges(registry.operatorState),
        ...by,
      });
      tellNotes(
        notes.filter((note) => !this.#notes.includes(note)),
        log,
      );
      this.#notes = notes;
      tellOverrides(registry, log);
      return outcome;
    } catch (error) {
      counts.failed++;
      log.error('config.refused', `the reload was refused: ${whatIsWrong(error)}`, {
        ...(error instanceof ConfigRefused && { problems: error.problems }),
        ...by,
      });
      throw error;
    }
  }

  /** What the watch has found may be a file that is being written. */
  refuseCutOff(): void {
    this.counts.failed++;
    const message =
      'the config file was not read: it looks cut off, as it is the beginning of the one in force; reload by SIGHUP or POST /reload if it is meant';
    this.#logs.log.error('config.refused', message, { by: 'watch' });
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
function whatIsWrong(error: unknown): string {
  if (!(error instanceof ConfigRefused)) {
    return error instanceof Error ? error.message : String(error);
  }
  const { problems } = error;
  // Without the line of the text and its caret, which take lines of their own.
  const said = problems
    .slice(0, PROBLEMS_SAID)
    .map((problem) => formatProblem(problem).split('\n', 1).join(''));
  const more = problems.length - said.length;
  return `${said.join('; ')}${more > 0 ? `; and ${more} more` : ''}. Nothing was changed`;
}
