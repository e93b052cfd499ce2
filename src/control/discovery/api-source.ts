/** A source that asks an API: round after round, each of which begins at once where the last one went well, and later where it failed. */
import type { z } from 'zod';
import { pause } from './api-request.ts';
import { Backoff } from './backoff.ts';
import type { DiscoverySource, SourceUser } from './source.ts';

/** Between the beginnings of two rounds: an API that answers at once, again and again, is not asked without a pause. */
const LEAST_ROUND_MS = 500;
/** After failures. */
const LONGEST_WAIT_MS = 5_000;

export class ApiSource implements DiscoverySource {
  readonly #user: SourceUser;
  readonly #round: (signal: AbortSignal) => Promise<void>;
  readonly #end = new AbortController();
  readonly #backoff = new Backoff(LONGEST_WAIT_MS);

  /** @param round asks, and tells the user; throws where it can't */
  constructor(user: SourceUser, round: (signal: AbortSignal) => Promise<void>) {
    this.#user = user;
    this.#round = round;
  }

  start(): void {
    void this.#run();
  }

  stop(): void {
    this.#end.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      const began = performance.now();
      let waitMs = LEAST_ROUND_MS;
      try {
        await this.#round(signal);
        this.#backoff.succeeded();
      } catch (error) {
        if (signal.aborted) return;
        this.#user.onFault(reasonOf(error));
        waitMs = this.#backoff.failed();
      }
      await pause(Math.max(0, began + waitMs - performance.now()), signal);
    }
  }
}

/** @throws Error which says what is not as it should be */
export function parsedAs<Schema extends z.ZodType>(text: string, schema: Schema): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(`it answers no JSON: ${text.slice(0, 60)}`);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue?.path.join('.') ?? '';
  throw new Error(`it answers what can't be understood: ${where}: ${issue?.message ?? ''}`);
}

/** With several addresses tried, the error as such has no message. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) {
    return error.errors.map((one) => (one instanceof Error ? one.message : String(one))).join(', ');
  }
  return error instanceof Error ? error.message : String(error);
}
