/**
 * A server whose process can be stopped: it listens, but nobody accepts. Once its queue is full, further connects stay
 * unanswered, as with an address that swallows packets.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterTest } from '../support/after-test.ts';

const PROGRAM = `
const server = require('node:net').createServer((socket) => {
  socket.on('error', () => {});
  socket.resume();
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port));
`;

export interface StallingServer {
  readonly port: number;
  readonly url: string;
  /** Stops accepting and fills the queue. */
  stall(): Promise<void>;
  /** Accepts again. */
  goOn(): void;
}

export async function stallingServer(): Promise<StallingServer> {
  const child = spawn(process.execPath, ['-e', PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] });
  afterTest(() => {
    child.kill('SIGKILL');
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(line.toString());
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    stall: async () => {
      child.kill('SIGSTOP');
      while (await isConnected(port));
    },
    goOn: () => void child.kill('SIGCONT'),
  };
}

async function isConnected(port: number): Promise<boolean> {
  const socket: Socket = connect(port, '127.0.0.1');
  afterTest(() => {
    socket.destroy();
  });
  socket.on('error', () => {});
  return Promise.race([once(socket, 'connect').then(() => true), sleep(200, false)]);
}
