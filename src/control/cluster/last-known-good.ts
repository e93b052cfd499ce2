/**
 * What was last read from the store and found valid, on the disk, so that an instance starts without the store. Two generations, each
 * with a checksum: one that was torn is passed over for the one before it.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { DurableFile } from '../durable-file.ts';
import type { FollowedCopy } from './followed-store.ts';

/** It holds secrets. */
const MODE = 0o600;

const revision = z.int().nonnegative();
const CONTENT = z.strictObject({
  version: z.literal(1),
  of: z.string(),
  epoch: z.string(),
  revision,
  objects: z.array(
    z.strictObject({ key: z.string(), value: z.string(), revision, createdAt: revision }),
  ),
});

export class LastKnownGood {
  readonly #path: string;
  readonly #of: string;
  readonly #newest: DurableFile;
  readonly #previous: DurableFile;
  /** What the newest file holds that is whole. */
  #text: string | undefined;

  /** @param of which store, and what in it: a copy of another one is none. */
  constructor(path: string, of: string) {
    this.#path = path;
    this.#of = of;
    this.#newest = new DurableFile(path);
    this.#previous = new DurableFile(`${path}.previous`);
  }

  /** The newest generation that is whole. Never rejects: what can't be read is no copy. */
  async load(): Promise<FollowedCopy | undefined> {
    for (const path of [this.#path, `${this.#path}.previous`]) {
      const text = await readFile(path, 'utf8').catch(() => '');
      const copy = this.#read(text);
      if (copy === undefined) continue;
      this.#text = text;
      return copy;
    }
    return undefined;
  }

  /** Not more than one at a time. Rejects with the system's error; what was there before can still be loaded. */
  async save({ epoch, revision: at, objects: all }: FollowedCopy): Promise<void> {
    const objects = [...all.values()];
    const body = JSON.stringify({ version: 1, of: this.#of, epoch, revision: at, objects });
    const text = `${sumOf(body)}\n${body}\n`;
    if (this.#text !== undefined) await this.#previous.write(this.#text, MODE);
    await this.#newest.write(text, MODE);
    this.#text = text;
  }

  #read(text: string): FollowedCopy | undefined {
    const [sum = '', body = ''] = text.split('\n');
    if (sum !== sumOf(body)) return undefined;
    try {
      const content = CONTENT.parse(JSON.parse(body));
      if (content.of !== this.#of) return undefined;
      const objects = new Map(content.objects.map((object) => [object.key, object]));
      return { epoch: content.epoch, revision: content.revision, objects };
    } catch {
      return undefined;
    }
  }
}

function sumOf(body: string): string {
  return createHash('sha256').update(body).digest('hex');
}
