/** Certificates for names that no config has, from a real authority, when a service allows them. */
import { once } from 'node:events';
import tls from 'node:tls';
import { expect, test } from 'vitest';
import { startFairlead } from '../../../support/fairlead.ts';
import { freePort } from '../../../support/free-port.ts';
import { httpBackend } from '../../../support/http-backend.ts';
import { startPebble } from '../../../support/pebble.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { refusalOf, visit } from '../../../support/tls-client.ts';
import { hasTool } from '../../../support/tools.ts';
import { waitFor } from '../../../support/wait-for.ts';

const LONG_MS = 30_000;

async function protocolOf(port: number, servername: string): Promise<string | false | null> {
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    servername,
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
  });
  await once(socket, 'secureConnect');
  const { alpnProtocol } = socket;
  socket.destroy();
  return alpnProtocol;
}

test.skipIf(!hasTool('pebble') || !hasTool('pebble-challtestsrv'))(
  'a name that is allowed has its certificate soon, and one that is not costs a question',
  async () => {
    const [port, adminPort] = [await freePort(), await freePort()];
    const pebble = await startPebble({ tlsPort: port });
    const asked: string[] = [];
    const who = await httpBackend(({ url = '' }, response) => {
      const name = new URL(url, 'http://ask').searchParams.get('domain') ?? '';
      asked.push(name);
      response.statusCode = name.startsWith('good') ? 200 : 404;
      response.end();
    });
    const acme = {
      ca: pebble.directoryUrl,
      ca_file: pebble.caFile,
      challenge: 'tls-alpn-01',
      on_demand: { ask: `${who.url}/allowed`, max_orders_per_hour: 2 },
    };
    const options = {
      cwd: temporaryFolder('on-demand'),
      ports: { port, adminPort },
      config: {
        admin_port: adminPort,
        listeners: [{ port, host: '127.0.0.1', tls: { acme } }],
        backends: [],
      },
    };
    const fairlead = await startFairlead(options);
    const refused = /UNRECOGNIZED_NAME/;
    expect(await refusalOf(port, { servername: 'good.test' })).toMatch(refused);
    const served = (name: string) => () => visit(port, { servername: name });
    await waitFor(served('good.test'), LONG_MS, 'a certificate');
    expect(await protocolOf(port, 'good.test')).toBe('h2');
    // Nobody else gets it.
    expect(await refusalOf(port, { servername: 'bad.test' })).toMatch(refused);
    expect(await refusalOf(port, {})).toMatch(refused);
    await waitFor(() => asked.includes('bad.test'));
    for (let count = 0; count < 3; count++) {
      expect(await refusalOf(port, { servername: 'bad.test' })).toMatch(refused);
    }
    await waitFor(
      async () => (await visit(port, { servername: 'good2.test' })) !== undefined,
      LONG_MS,
    );
    expect(await refusalOf(port, { servername: 'good3.test' })).toMatch(refused);
    await fairlead.waitForLog(({ event }) => event === 'certificate.on_demand_limited');
    expect(asked).toEqual(['good.test', 'bad.test', 'good2.test', 'good3.test']);
    expect(pebble.orders).toBe(2);
    const metrics = await (await fetch(`${fairlead.adminUrl}/metrics`)).text();
    expect(metrics).toContain('fairlead_acme_asks_total{result="allowed"} 2');
    expect(metrics).toContain('fairlead_acme_asks_total{result="refused"} 1');
    expect(await fairlead.stop()).toBe(0);
    await startFairlead(options);
    await visit(port, { servername: 'good.test' });
    expect(await refusalOf(port, {})).toMatch(refused);
    expect(asked).toHaveLength(4);
    expect(pebble.orders).toBe(2);
  },
  90_000,
);
