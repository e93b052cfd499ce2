/** The process that is to take our place: the program that is on the disk now, started as this one was. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  type FromSuccessor,
  type HandedClients,
  type Handover,
  UPGRADE_VARIABLE,
} from './handover.ts';

/** Standard input, output and error, and the channel to it. */
const FIRST_DESCRIPTOR = 4;

/** What it is handed, with the descriptors that they have here. */
export interface Parting extends Omit<Handover, 'kind'> {
  /** What is known of clients when it asks. */
  readonly clients: () => string;
}

export type Outcome =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly why: string };

export class Successor {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  /** Never rejects. */
  readonly outcome: Promise<Outcome>;

  constructor(parting: Parting, command: readonly string[] = ownCommand()) {
    const descriptors: number[] = [];
    // The new process has them in the order in which they are given here.
    const { clients, ...told } = parting;
    const renumbered = renumber(told, (descriptor) => {
      return FIRST_DESCRIPTOR + descriptors.push(descriptor) - 1;
    });
    const [program = process.execPath, ...args] = command;
    this.#child = spawn(program, args, {
      stdio: ['inherit', 'inherit', 'inherit', 'ipc', ...descriptors],
      env: { ...withoutNpx(process.env), [UPGRADE_VARIABLE]: '1' },
    });
    const child = this.#child;
    this.#ended = new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
    this.outcome = new Promise((resolve) => {
      const failed = (why: string): void => resolve({ kind: 'failed', why });
      child.on('message', (message: FromSuccessor) => {
        if (message.kind === 'ready') resolve({ kind: 'ready' });
        else if (message.kind === 'failed') failed(message.reason);
        else child.send({ kind: 'clients', clients: clients() } satisfies HandedClients, () => {});
      });
      child.on('error', (error) => failed(`it can't be started: ${error.message}`));
      child.once('exit', (code, signal) => {
        const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
        failed(`it ended ${how} before it was ready`);
      });
    });
    child.send({ ...renumbered, kind: 'handover' } satisfies Handover, () => {});
  }

  /** Undefined: it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Nothing of it is left when this resolves. */
  async kill(): Promise<void> {
    if (this.pid !== undefined) this.#child.kill('SIGKILL');
    await this.#ended;
  }

  /** It lives on by itself. */
  letGo(): void {
    if (this.#child.connected) this.#child.disconnect();
    this.#child.unref();
  }
}

/** Who ends with the parent that npx has given it (npx.ts) would end with this process, which is not meant. */
function withoutNpx(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { npm_command: _command, npm_lifecycle_script: _script, ...rest } = env;
  return rest;
}

function ownCommand(): readonly string[] {
  return [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
}

function renumber(
  parting: Omit<Handover, 'kind'>,
  give: (descriptor: number) => number,
): Omit<Handover, 'kind'> {
  const listeners = [...parting.listeners, ...(parting.admin === null ? [] : [parting.admin])].map(
    (one) => ({ ...one, descriptors: one.descriptors.map(give) }),
  );
  const admin = parting.admin === null ? null : (listeners.pop() ?? null);
  return { ...parting, listeners, admin };
}
