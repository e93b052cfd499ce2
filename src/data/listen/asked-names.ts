/** Names that clients have asked for and nothing is known of: told to who may get certificates for them. Bounded, whoever asks for what. */

const MOST_NAMES = 64;
/** Of hosts with a dot; no address, and no wildcard. In lower case. */
const HOST_NAME =
  /^(?=.{3,253}$)(?:[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?\.)+[a-z](?:[a-z\d-]{0,61}[a-z\d])?$/;

export class AskedNames {
  readonly #names = new Set<string>();

  add(name: string): void {
    if (this.#names.size < MOST_NAMES && HOST_NAME.test(name)) this.#names.add(name);
  }

  /** Each once, since the last call. */
  take(): string[] {
    if (this.#names.size === 0) return [];
    const names = [...this.#names];
    this.#names.clear();
    return names;
  }
}
