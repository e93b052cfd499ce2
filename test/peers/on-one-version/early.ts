/** Uploads that a backend answers before they have come. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { LONG_MS, waitFor, within } from '../../support/wait-for.ts';
import { type Front, session } from '../front.ts';

const run = promisify(execFile);
const LENGTH = 2 * 1024 * 1024;

/** By HTTP/1.1, all of it at once. @returns `body status` */
export async function uploadByCurl({ h2c }: Front, path: string): Promise<string> {
  const file = join(temporaryFolder('upload'), 'body');
  writeFileSync(file, randomBytes(LENGTH));
  const options = ['-sS', '-m', '30', '--http1.1', '-H', 'Expect:', '-w', ' %{http_code}'];
  const url = `http://127.0.0.1:${h2c}${path}`;
  const { stdout } = await run('curl', [...options, '--data-binary', `@${file}`, url]);
  return stdout;
}

/**
 * By HTTP/2, the beginning of it. (Where more is under way when the stream is reset with NO_ERROR, node:http2 and curl 7.88 lose
 * the answer, to Go as well.)
 * @returns `body status code`: the last is what the stream was reset with
 */
export async function beginUpload(front: Front, path: string, isTls: boolean): Promise<string> {
  const stream = session(front, isTls).request({ ':method': 'POST', ':path': path });
  stream.on('error', () => {});
  stream.write(randomBytes(2_000));
  const parts: Buffer[] = [];
  stream.on('data', (part: Buffer) => parts.push(part));
  const [head] = await within(once(stream, 'response'), LONG_MS, 'the answer');
  await waitFor(() => stream.closed, LONG_MS, 'the end of the stream');
  return `${Buffer.concat(parts)} ${head[':status']} ${stream.rstCode}`;
}
