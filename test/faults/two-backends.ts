/**
 * Two backends with one script between them: the first request of a kind meets the fault, wherever it is sent, and every
 * later one is served. What the client sees then tells whether the request was saved, and the requests that arrived
 * tell how often it was tried.
 */
import {
  type Connection,
  type Script,
  type ScriptedBackend,
  scriptedBackend,
} from '../behaviour/stage.ts';
import { okResponse } from '../support/raw-backend.ts';

/** Reads the body that a head announces. */
export async function readBody(connection: Connection, head: string): Promise<number> {
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
  await connection.readBytes(length);
  return length;
}

/** Says how much of a body arrived, and closes: every attempt of the next request gets a fresh connection. */
export async function serve(connection: Connection, head: string): Promise<void> {
  const length = await readBody(connection, head);
  await connection.write(okResponse(`got ${length}`, ['Connection: close']));
  connection.end();
}

export class TwoBackends {
  readonly #backends: readonly ScriptedBackend[];

  constructor(backends: readonly ScriptedBackend[]) {
    this.#backends = backends;
  }

  get urls(): string[] {
    return this.#backends.map(({ url }) => url);
  }

  /** The first request for `path` gets `fault`. */
  failOnce(path: string, fault: Script): void {
    let isFirst = true;
    for (const backend of this.#backends) {
      backend.on(path, (connection, head) => {
        if (!isFirst) return serve(connection, head);
        isFirst = false;
        return fault(connection, head);
      });
    }
  }

  /** How many attempts arrived. */
  attempts(path: string): number {
    return this.#backends.reduce((sum, backend) => sum + backend.served(path).length, 0);
  }

  /** What scripts met that they did not expect. */
  errors(): unknown[] {
    return this.#backends.flatMap(({ raw }) => raw.errors);
  }
}

export async function twoBackends(): Promise<TwoBackends> {
  return new TwoBackends([await scriptedBackend(), await scriptedBackend()]);
}
