/**
 * With the data plane in the caller's own thread, its messages arrive a turn later: the log was closed before the lines
 * of the requests that the end had cut off.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { accessLogTo, backend } from '../control/fixtures.ts';
import { running } from '../control/running.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { SOON_MS, waitFor, within } from '../support/wait-for.ts';

test('threads: 0 writes the line of a request that the end cuts off', async () => {
  const { url, requests } = await httpBackend((request, response) => {
    if (request.url !== '/never') response.end('ok');
  });
  const file = join(temporaryFolder(), 'access.log');
  const self = await running({
    threads: 0,
    backends: [backend(url)],
    accessLog: accessLogTo({ file }),
  });
  const cutOff = fetch(`http://127.0.0.1:${self.fairlead.port}/never`).catch(() => 'cut off');
  await waitFor(() => requests.includes('GET /never'));
  self.fairlead.kill();
  expect(await within(cutOff, SOON_MS, 'the end of the request')).toBe('cut off');
  await within(self.fairlead.exited, SOON_MS, 'the end');
  expect(await readFile(file, 'utf8')).toContain('"path":"/never"');
});
