/** A sound config that can't be listened on is refused as a whole: what is shown, compared and told stays that of the old one. */
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';

test('and the log says where, and what to do', async () => {
  const port = await freePort();
  const other = createServer().listen(port, '127.0.0.1');
  afterTest(() => void other.close());
  await once(other, 'listening');
  const before = { backends: ['http://127.0.0.1:1'], state_file: false };
  const { adminUrl, cwd, waitForLog } = await startFairlead({ config: before });
  const call = async (method: string, path: string, body?: string): Promise<unknown> =>
    (await fetch(adminUrl + path, { method, ...(body !== undefined && { body }) })).json();
  const file = join(cwd, 'fairlead.config.json');
  const listeners = [{ host: '127.0.0.1', port }];
  const text = JSON.stringify({ ...before, strategy: 'ip-hash', listeners }, null, 2);
  await writeFile(file, text);

  expect(await call('POST', '/reload')).toMatchObject({ code: 'ERR_BAD_CONFIG' });
  const line = (await readFile(file, 'utf8')).split('\n').findIndex((one) => one.includes('port'));
  const { msg } = await waitForLog(({ event }) => event === 'config.refused');
  expect(msg).toMatch(
    new RegExp(
      `fairlead\\.config\\.json:(${line}|${line + 1}): listeners\\.0: can't listen on 127\\.0\\.0\\.1:${port}: the address is in use \\(it is not tried again by itself`,
    ),
  );
  expect(await call('GET', '/config')).toMatchObject({ config: { strategy: 'round-robin' } });
  expect(await call('POST', '/config:validate', text)).toMatchObject({
    changed: true,
    changes: expect.arrayContaining([
      { path: 'strategy', change: 'changed', before: 'round-robin', after: 'ip-hash' },
    ]),
  });

  other.close();
  await once(other, 'close');
  expect(await call('POST', '/reload')).toMatchObject({
    changed: true,
    changes: expect.arrayContaining(['strategy']),
  });
  expect(await call('GET', '/config')).toMatchObject({ config: { strategy: 'ip-hash' } });
});
