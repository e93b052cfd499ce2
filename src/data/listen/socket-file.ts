/**
 * The file of a unix socket. It is opened under another name in its folder, gets its mode, and takes its place by being
 * renamed: nobody can connect before it has its mode, and one that a dead process has left behind is replaced without a
 * moment in which there is none. Node removes the other name when it closes the socket; the file is removed here, if it is
 * still ours.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, lstatSync, renameSync, type Stats, unlinkSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';

/** Nobody accepts at the other end. */
const IS_DEAD: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ENOENT']);
/** It has been asked to accept, and has not yet. */
const IS_BUSY: ReadonlySet<unknown> = new Set(['EAGAIN', 'ETIMEDOUT']);

export class SocketFile {
  readonly #path: string;
  /** What is listened on. */
  readonly ownPath: string;
  #inode: number | undefined;
  #mode: number | undefined;

  constructor(file: string) {
    this.#path = file;
    const name = `.fairlead-${randomBytes(4).toString('hex')}`;
    this.ownPath = path.join(path.dirname(file), name);
  }

  /** @throws EADDRINUSE if somebody listens there, EEXIST if it is no socket. */
  async prepare(): Promise<void> {
    const found = this.#find();
    if (found === undefined) return;
    if (!found.isSocket()) {
      const message = `${this.#path} is there, and is no socket`;
      throw Object.assign(new Error(message), { code: 'EEXIST' });
    }
    const code = await whatConnecting(this.#path);
    if (IS_DEAD.has(code)) return;
    const isInUse = code === null || IS_BUSY.has(code);
    const message = isInUse
      ? `a process listens on ${this.#path}`
      : `can't tell whether a process listens on ${this.#path}: ${code}`;
    throw Object.assign(new Error(message), { code: isInUse ? 'EADDRINUSE' : code });
  }

  /** It is listened on: lets clients find it. */
  publish(mode: number): void {
    chmodSync(this.ownPath, mode);
    renameSync(this.ownPath, this.#path);
    this.#mode = mode;
    this.#inode = lstatSync(this.#path).ino;
  }

  setMode(mode: number): void {
    if (mode === this.#mode || !this.#isOurs()) return;
    this.#mode = mode;
    chmodSync(this.#path, mode);
  }

  remove(): void {
    if (this.#isOurs()) unlinkSync(this.#path);
    this.#inode = undefined;
  }

  #isOurs(): boolean {
    const found = this.#inode === undefined ? undefined : this.#find();
    return found !== undefined && found.isSocket() && found.ino === this.#inode;
  }

  #find(): Stats | undefined {
    return lstatSync(this.#path, { throwIfNoEntry: false });
  }
}

/** @returns the code of the error; null: it has connected. */
function whatConnecting(file: string): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = net.connect(file);
    socket.once('connect', () => {
      socket.destroy();
      resolve(null);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}
