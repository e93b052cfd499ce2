/**
 * Keeps the tokens of the admin API the ones that stand in their file: it is watched, and read when it has changed. One that can't
 * be read, or is malformed, leaves those in force that were there before, and is told; to take all tokens back, one empties it.
 */
import { type AdminToken } from '../config/read/admin-token.ts';
import { readTokensFile } from '../config/read/admin-tokens.ts';
import type { AdminSettings } from '../config/settings.ts';
import type { Logger } from '../observe/logger.ts';
import { FileWatch } from './file-watch.ts';
import type { Operator } from './operator.ts';
import type { Registry } from './registry.ts';

export interface TokenFileOptions {
  readonly registry: Registry;
  readonly operator: Operator;
  readonly log: Logger;
}

export class TokenFile {
  readonly #registry: Registry;
  readonly #operator: Operator;
  readonly #log: Logger;
  #watch: FileWatch | null = null;
  /** Told already. */
  #fault = '';

  constructor({ registry, operator, log }: TokenFileOptions) {
    this.#registry = registry;
    this.#operator = operator;
    this.#log = log;
  }

  /** The settings may have become others. */
  sync(): void {
    const { tokens } = this.#registry.settings.admin;
    if (tokens === null) return this.stop();
    this.#watch ??= new FileWatch({ onChange: () => void this.#read() });
    // It was read before the watch began. What has become of it since then, no event tells.
    if (this.#watch.setPaths([tokens.file])) void this.#watch.settled().then(() => this.#read());
  }

  stop(): void {
    this.#watch?.close();
    this.#watch = null;
  }

  async #read(): Promise<void> {
    if (this.#watch === null) return;
    let before: readonly AdminToken[] = [];
    let after: readonly AdminToken[] = [];
    try {
      const hasChanged = await this.#operator.reload(async () => {
        const { settings } = this.#registry;
        const { tokens } = settings.admin;
        if (tokens === null) return settings;
        const taken = this.#taken(tokens);
        if (taken === null) return settings;
        before = tokens.tokens;
        after = taken;
        return { ...settings, admin: { ...settings.admin, tokens: { ...tokens, tokens: taken } } };
      });
      if (hasChanged) this.#tellChange(before, after);
    } catch (error) {
      this.#log.error('tokens.failed', 'the tokens could not be read again', { error });
    }
  }

  /** Null: those in force stay. */
  #taken({ file, tokens }: NonNullable<AdminSettings['tokens']>): readonly AdminToken[] | null {
    const { tokens: now, faults } = readTokensFile(file);
    const said = faults.map(({ line, message }) =>
      line === undefined ? message : `line ${line}: ${message}`,
    );
    const fault = said.join('; ');
    const isNew = fault !== this.#fault;
    this.#fault = fault;
    if (faults.length === 0) return now.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    if (isNew) {
      const message = `the tokens of ${file} are not taken up: ${fault}. The ${tokens.length} before stay in force`;
      this.#log.error('tokens.refused', message, { file });
    }
    return null;
  }

  #tellChange(before: readonly AdminToken[], after: readonly AdminToken[]): void {
    const added = after.filter((one) => !known(before, one)).map(({ name }) => name);
    const removed = before.filter((one) => !known(after, one)).map(({ name }) => name);
    const what = [
      ...(added.length > 0 ? [`new: ${added.join(', ')}`] : []),
      ...(removed.length > 0 ? [`not good any more: ${removed.join(', ')}`] : []),
    ];
    this.#log.info('tokens.changed', `tokens of the admin API taken up: ${what.join('; ')}`, {
      added,
      removed,
    });
  }
}

function known(all: readonly AdminToken[], one: AdminToken): boolean {
  return all.some(
    ({ name, role, digest }) => name === one.name && role === one.role && digest === one.digest,
  );
}
