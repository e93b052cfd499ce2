/** A file that somebody else writes: read at the start, and again when it has changed, however that was done. */
import { parseBackendsFile } from '../../config/read/backends-file.ts';
import { readNamedFile } from '../../config/read/named-file.ts';
import { FileWatch } from '../file-watch.ts';
import { Backoff } from './backoff.ts';
import type { DiscoverySource, SourceUser } from './source.ts';

const LARGEST_BYTES = 1024 * 1024;

export class FileSource implements DiscoverySource {
  readonly #file: string;
  readonly #user: SourceUser;
  readonly #watch = new FileWatch({ onChange: () => this.#read() });
  readonly #backoff = new Backoff();
  /** Of a file that can't be read: with its rights, nothing that is watched need change. */
  #again: NodeJS.Timeout | undefined;

  /** @param file absolute */
  constructor(file: string, user: SourceUser) {
    this.#file = file;
    this.#user = user;
  }

  start(): void {
    // In this order, so that no change falls between.
    this.#watch.setPaths([this.#file]);
    void this.#watch.settled().then(() => this.#read());
  }

  stop(): void {
    this.#watch.close();
    clearTimeout(this.#again);
  }

  #read(): void {
    clearTimeout(this.#again);
    const read = readNamedFile(this.#file, LARGEST_BYTES);
    if ('fault' in read) {
      this.#user.onFault(read.fault);
      this.#again = setTimeout(() => this.#read(), this.#backoff.failed());
      this.#again.unref();
      return;
    }
    this.#backoff.succeeded();
    const result = parseBackendsFile(read.bytes.toString(), this.#file);
    if (result.ok) void this.#user.onList(result.backends);
    else this.#user.onFault(result.fault);
  }
}
