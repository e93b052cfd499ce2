/**
 * One process at a time has a state file.
 *
 * The lock is a socket that its holder listens on: the kernel closes it with the process, however that ends, so that a lock
 * that was left behind is told from one that is held without asking for process ids, which mean nothing from one container
 * to the next. It lies beside the file, so that it holds between containers that share the folder. Where there can be none, it
 * is an abstract one (Linux), which holds within a container.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { lstat, open, rm, stat } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { basename, dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { resolveLinks } from '../durable-file.ts';

/** `sun_path` holds 104 bytes on some systems, 108 on others; Node 20 cuts off what is more. */
const MOST_PATH_BYTES = 100;
const MOST_TRIES = 100;
const CLEANING_PAUSE_MS = 20;
/** It takes a few milliseconds: after so long, whoever began it has been killed. */
const LONGEST_CLEANING_MS = 2_000;

export type StateLock =
  | { readonly kind: 'held'; release(): Promise<void> }
  | { readonly kind: 'in-use' }
  /** Nobody can tell whether another process has the file. */
  | { readonly kind: 'impossible'; readonly reason: string };

/** Never rejects. */
export async function lockStateFile(path: string): Promise<StateLock> {
  try {
    const target = await resolveLinks(path);
    return await lockBeside(target).catch(async (error: unknown) => {
      if (process.platform !== 'linux') throw error;
      return lockByName(target);
    });
  } catch (error) {
    return { kind: 'impossible', reason: error instanceof Error ? error.message : String(error) };
  }
}

async function lockBeside(target: string): Promise<StateLock> {
  const path = `${target}.lock`;
  if (Buffer.byteLength(path) > MOST_PATH_BYTES)
    throw new Error(`${path} is too long for a socket`);
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const server = await listen(path);
    if (server !== undefined) return held(server);
    const answered = await isAnswered(path);
    if (answered === true) break;
    if (answered === false) await removeDead(path);
  }
  return { kind: 'in-use' };
}

async function lockByName(target: string): Promise<StateLock> {
  const { dev, ino } = await stat(dirname(target));
  const identity = createHash('sha256')
    .update(`${dev}:${ino}:${basename(target)}`)
    .digest('hex');
  const server = await listen(`\0fairlead-state-${identity.slice(0, 32)}`);
  return server === undefined ? { kind: 'in-use' } : held(server);
}

/**
 * One process at a time may do this: since it was found dead, another may have put its own in its place. While it is there,
 * nobody can.
 */
async function removeDead(path: string): Promise<void> {
  const permit = `${path}.cleaning`;
  try {
    await (await open(permit, 'wx')).close();
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    const { mtimeMs } = await stat(permit).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > LONGEST_CLEANING_MS) await rm(permit, { force: true });
    await sleep(CLEANING_PAUSE_MS);
    return;
  }
  try {
    if ((await isAnswered(path)) !== false) return;
    if (!(await lstat(path)).isSocket()) throw new Error(`${path} is no socket`);
    await rm(path);
  } finally {
    await rm(permit, { force: true });
  }
}

/** Undefined: the address is taken. */
async function listen(path: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy());
  // Whoever may see it may ask whether somebody is there.
  const isFile = !path.startsWith('\0');
  server.listen({ path, readableAll: isFile, writableAll: isFile });
  try {
    await once(server, 'listening');
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') return undefined;
    throw error;
  }
  server.on('error', () => {});
  return server.unref();
}

/** Undefined: it is not there any more. A holder that is stopped, or another user's, is there. */
async function isAnswered(path: string): Promise<boolean | undefined> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') return undefined;
    return code !== 'ECONNREFUSED';
  } finally {
    socket.on('error', () => {});
    socket.destroy();
  }
}

function held(server: Server): StateLock {
  return {
    kind: 'held',
    async release() {
      if (!server.listening) return;
      // That also removes the socket.
      server.close();
      await once(server, 'close');
    },
  };
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}
