/** Certificates on demand where several instances share them by a real etcd: asked for at one, proven by another, served by all. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startEtcd } from '../../../support/etcd.ts';
import { startFairlead } from '../../../support/fairlead.ts';
import { freePort } from '../../../support/free-port.ts';
import { httpBackend } from '../../../support/http-backend.ts';
import { startPebble } from '../../../support/pebble.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { refusalOf, visit } from '../../../support/tls-client.ts';
import { hasTool } from '../../../support/tools.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { initCluster } from '../etcd/instances.ts';
import { Front } from './front.ts';

const LONG_MS = 40_000;
const REFUSED = /UNRECOGNIZED_NAME/;

function isServed(port: number, name: string): Promise<unknown> {
  return waitFor(() => visit(port, { servername: name }), LONG_MS, `${name} at ${port}`);
}

test.skipIf(!hasTool('etcd') || !hasTool('pebble') || !hasTool('pebble-challtestsrv'))(
  'a name that one instance was asked for is proven by the other, ordered once, and served by both',
  async () => {
    const front = await new Front().start();
    const pebble = await startPebble({ tlsPort: front.port });
    const etcd = await startEtcd({ folder: temporaryFolder('etcd') });
    const keyFile = join(temporaryFolder('key'), 'key');
    writeFileSync(keyFile, randomBytes(32).toString('base64'));
    await initCluster(etcd.url, { backends: [] });
    const asked: string[] = [];
    const who = await httpBackend(({ url = '' }, response) => {
      const name = new URL(url, 'http://ask').searchParams.get('domain') ?? '';
      asked.push(name);
      response.statusCode = name.startsWith('good') ? 200 : 404;
      response.end();
    });
    const start = async (instance: string): Promise<number> => {
      const [port, adminPort] = [await freePort(), await freePort()];
      const acme = {
        ca: pebble.directoryUrl,
        ca_file: pebble.caFile,
        challenge: 'tls-alpn-01',
        on_demand: { ask: `${who.url}/allowed` },
      };
      await startFairlead({
        cwd: temporaryFolder(instance),
        ports: { port, adminPort },
        args: ['--threads', '2'],
        config: {
          admin_port: adminPort,
          cluster: {
            name: 'shop',
            instance,
            etcd: { endpoints: [etcd.url] },
            key_file: keyFile,
          },
          listeners: [{ port, host: '127.0.0.1', tls: { acme } }],
        },
      });
      return port;
    };
    const a = await start('a');
    const b = await start('b');

    // Whoever orders it, the authority gets to b.
    front.leadTo(b);
    expect(await refusalOf(a, { servername: 'good.test' })).toMatch(REFUSED);
    await isServed(a, 'good.test');
    // Nobody has asked b for it before.
    await isServed(b, 'good.test');
    expect(asked).toEqual(['good.test']);

    // Asked for at both at once, it is one order.
    front.leadTo(a);
    await Promise.all([a, b].map((port) => refusalOf(port, { servername: 'good2.test' })));
    await Promise.all([a, b].map((port) => isServed(port, 'good2.test')));
    expect(pebble.orders).toBe(2);

    for (const port of [a, b]) {
      expect(await refusalOf(port, { servername: 'bad.test' })).toMatch(REFUSED);
    }
    await waitFor(() => asked.filter((name) => name === 'bad.test').length === 2);
    for (const port of [a, b]) {
      expect(await refusalOf(port, { servername: 'bad.test' })).toMatch(REFUSED);
    }
    expect(asked.filter((name) => name === 'good.test')).toHaveLength(1);
    expect(asked.filter((name) => name === 'bad.test')).toHaveLength(2);
    expect([pebble.orders, pebble.accounts]).toEqual([2, 1]);
  },
  120_000,
);
