/**
 * A backend whose process runs out of file descriptors: it listens, and closes every connection at once, since it has
 * nothing left to accept it with.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterTest } from '../support/after-test.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';

const PROGRAM = `
const { openSync } = require('node:fs');
const server = require('node:net').createServer((socket) => {
  socket.on('error', () => {});
  socket.resume();
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.on('SIGUSR2', () => {
  try {
    for (;;) openSync('/dev/null');
  } catch (error) {
    console.log(error.code);
  }
});
`;

export interface CrowdedBackend {
  readonly url: string;
  /** Uses up what is left. */
  break(): Promise<void>;
}

export async function crowdedBackend(): Promise<CrowdedBackend> {
  const child = spawn('sh', ['-c', 'ulimit -n 64; exec "$0" -e "$1"', process.execPath, PROGRAM], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  afterTest(() => {
    child.kill('SIGKILL');
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [line] = (await once(child.stdout, 'data')) as [string];
  return {
    url: `http://127.0.0.1:${Number(line)}`,
    async break() {
      child.kill('SIGUSR2');
      await waitFor(() => output.includes('EMFILE'), LONG_MS, 'the last file descriptor');
    },
  };
}
