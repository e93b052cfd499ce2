/**
 * Sockets that were open before this process, and are handed to it: by systemd, or whoever speaks as it does
 * (sd_listen_fds(3)). Each can be used once: Node closes it with whoever has it.
 */
import { readFileSync } from 'node:fs';
import { socketInode } from '../../net/socket-inode.ts';
import type { ListenerAddress } from '../../snapshot/snapshot.ts';

const FIRST_DESCRIPTOR = 3;
const MOST_SOCKETS = 1000;
const NO_NAME = 'unknown';

/** Where a socket listens, as far as the system says. */
type Bound =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

interface Inherited {
  readonly descriptor: number;
  readonly name: string;
  readonly bound: Bound | null;
}

export class InheritedSockets {
  readonly #all: readonly Inherited[];
  #left: readonly Inherited[];

  constructor(sockets: readonly Inherited[]) {
    this.#all = sockets;
    this.#left = sockets;
  }

  /** Of this process; none where they are for another. What says so is taken out of the environment: no child has them. */
  static ofProcess(env: NodeJS.ProcessEnv, pid: number): InheritedSockets {
    const { LISTEN_PID, LISTEN_FDS = '', LISTEN_FDNAMES } = env;
    delete env['LISTEN_PID'];
    delete env['LISTEN_FDS'];
    delete env['LISTEN_FDNAMES'];
    const count = Number(LISTEN_FDS);
    if (Number(LISTEN_PID) !== pid || !(count > 0 && count <= MOST_SOCKETS)) {
      return new InheritedSockets([]);
    }
    const names = LISTEN_FDNAMES?.split(':') ?? [];
    const addresses = boundAddresses();
    return new InheritedSockets(
      Array.from({ length: count }, (_, index) => {
        const descriptor = FIRST_DESCRIPTOR + index;
        const bound = addresses.get(socketInode(descriptor)) ?? null;
        return { descriptor, name: names[index] ?? NO_NAME, bound };
      }),
    );
  }

  /** Those that another process had, which was handed them. */
  static handedOn(
    sockets: readonly { readonly descriptor: number; readonly name: string }[],
  ): InheritedSockets {
    const addresses = sockets.length > 0 ? boundAddresses() : new Map<string, Bound>();
    return new InheritedSockets(
      sockets.map((socket) => ({
        ...socket,
        bound: addresses.get(socketInode(socket.descriptor)) ?? null,
      })),
    );
  }

  /** One that is called so, or listens there; it is not given again. @returns its descriptor; −1: there is none */
  take(address: ListenerAddress): number {
    const taken = this.#left.find((socket) => isFor(socket, address));
    if (taken === undefined) return -1;
    this.#left = this.#left.filter((socket) => socket !== taken);
    return taken.descriptor;
  }

  /** It was taken, and not opened. */
  giveBack(descriptor: number): void {
    this.#left = this.#all.filter(
      (socket) => socket.descriptor === descriptor || this.#left.includes(socket),
    );
  }

  /** In words, those that nobody has. */
  get left(): string[] {
    return this.#left.map(({ name, descriptor }) => `${name} (descriptor ${descriptor})`);
  }
}

function isFor({ name, bound }: Inherited, address: ListenerAddress): boolean {
  if (address.kind === 'inherited') return name === address.name;
  if (bound === null) return false;
  if (address.kind === 'unix') return bound.kind === 'unix' && bound.path === address.path;
  if (bound.kind !== 'tcp' || bound.port !== address.port) return false;
  // All addresses of IPv6 are those of IPv4, too.
  return bound.host === (address.host ?? '::');
}

/** By inode, as proc(5) has them. Elsewhere than on Linux nothing is known. */
function boundAddresses(): Map<string, Bound> {
  const found = new Map<string, Bound>();
  for (const line of linesOf('tcp')) noteTcp(found, line, hostOfIPv4);
  for (const line of linesOf('tcp6')) noteTcp(found, line, hostOfIPv6);
  for (const line of linesOf('unix')) {
    const match = /^(?:\S+\s+){6}(\d+) (\/.*)$/.exec(line);
    if (match !== null) found.set(match[1] as string, { kind: 'unix', path: match[2] as string });
  }
  return found;
}

function linesOf(table: string): string[] {
  try {
    return readFileSync(`/proc/self/net/${table}`, 'utf8').split('\n').slice(1);
  } catch {
    return [];
  }
}

const IS_LISTENING = '0A';

function noteTcp(found: Map<string, Bound>, line: string, hostOf: (hex: string) => string): void {
  const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
  const [host = '', port = ''] = local.split(':');
  if (state !== IS_LISTENING) return;
  found.set(inode, { kind: 'tcp', host: hostOf(host), port: Number.parseInt(port, 16) });
}

/** Words of 32 bits, each in the order of the machine: on all that Node runs on, the lowest byte first. */
function bytesOf(hex: string): number[] {
  const words = hex.match(/.{8}/g) ?? [];
  return words.flatMap((word) => [...Buffer.from(word, 'hex')].toReversed());
}

function hostOfIPv4(hex: string): string {
  return bytesOf(hex).join('.');
}

function hostOfIPv6(hex: string): string {
  const groups = Buffer.from(bytesOf(hex)).toString('hex').match(/.{4}/g) ?? [];
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}
