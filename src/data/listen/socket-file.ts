/**
 * The file of a unix socket. It is opened under another name in its folder, gets its mode, and takes its place by being
 * renamed: nobody can connect before it has its mode, and one that a dead process has left behind is replaced without a
 * moment in which there is none. Node removes the other name when it closes the socket; the file is removed here, if it is
 * still ours.
 */
import { randomBytes } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  constants,
  lstatSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
} from 'node:fs';
import net from 'node:net';
import path from 'node:path';

/** Nobody accepts at the other end. */
const IS_DEAD: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ENOENT']);
/** It has been asked to accept, and has not yet. */
const IS_BUSY: ReadonlySet<unknown> = new Set(['EAGAIN', 'ETIMEDOUT']);

const PERMISSIONS = 0o777;

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

  /** Of a socket that was handed on: its file is there, and from now on ours. */
  static adopted(file: string, mode: number): SocketFile {
    const adopted = new SocketFile(file);
    const found = adopted.#find();
    if (found?.isSocket() !== true) return adopted;
    adopted.#inode = found.ino;
    adopted.#mode = found.mode & PERMISSIONS;
    adopted.setMode(mode);
    return adopted;
  }

  /** @throws EADDRINUSE if somebody listens there, EEXIST if it is no socket, and what is wrong with its folder. */
  async prepare(): Promise<void> {
    this.#checkFolder();
    if (!this.#isSocketThere()) return;
    const code = await whatConnecting(this.#path);
    if (IS_DEAD.has(code)) return;
    const isInUse = code === null || IS_BUSY.has(code);
    const message = isInUse
      ? `a process listens on ${this.#path}`
      : `can't tell whether a process listens on ${this.#path}: ${code}`;
    throw fault(isInUse ? 'EADDRINUSE' : code, message);
  }

  /** The system says of all of it that it has no permission, and names a file that nobody has written. */
  #checkFolder(): void {
    const folder = path.dirname(this.#path);
    try {
      if (!statSync(folder).isDirectory()) throw fault('ENOTDIR', '');
      accessSync(folder, constants.W_OK | constants.X_OK);
    } catch (error) {
      const { code = 'UNKNOWN' } = error as NodeJS.ErrnoException;
      const said = FOLDER_FAULTS.get(code) ?? `can't be used (${code})`;
      throw fault(code, `the folder ${folder} ${said}`);
    }
  }

  /** @throws EEXIST: something else is, which stays. */
  #isSocketThere(): boolean {
    const found = this.#find();
    if (found === undefined || found.isSocket()) return found !== undefined;
    const what = found.isDirectory() ? 'a folder' : 'no socket';
    throw fault('EEXIST', `${this.#path} is there, and is ${what}: it is left alone`);
  }

  /** Of what listening there has thrown. */
  explained({ code = 'UNKNOWN' }: NodeJS.ErrnoException): Error {
    return fault(code, `no socket can be made in the folder ${path.dirname(this.#path)}: ${code}`);
  }

  /** It is listened on: lets clients find it. */
  publish(mode: number): void {
    // Nothing that has come there meanwhile may be replaced, either.
    this.#isSocketThere();
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

const FOLDER_FAULTS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'does not exist'],
  ['ENOTDIR', 'is no folder'],
  ['EACCES', 'may not be written to by this user'],
  ['EROFS', 'is on a file system that can only be read'],
  ['ELOOP', 'leads round in a circle of links'],
]);

function fault(code: string | null, message: string): Error {
  return Object.assign(new Error(message), { code: code ?? 'UNKNOWN' });
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
