/** Certificates that fetch themselves from a real authority, and what clients see meanwhile. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { startFairlead } from '../../../support/fairlead.ts';
import { onFreePorts } from '../../../support/free-ports.ts';
import { startPebble } from '../../../support/pebble.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { refusalOf, visit } from '../../../support/tls-client.ts';
import { hasTool } from '../../../support/tools.ts';

const LONG_MS = 30_000;
const WITHOUT_TLS_HANDLES = new URL('../../../support/without-tls-handles.mjs', import.meta.url)
  .href;
const STORE_KEY = '7'.repeat(64);

async function servedAt(port: number, servername: string): Promise<string | undefined> {
  return (await visit(port, { servername })).answer.split('\r\n')[0];
}

async function startSite(ports: readonly number[]) {
  const [httpPort = 0, adminPort = 0, first = 0, alpn = 0, dns = 0] = ports;
  const pebble = await startPebble({
    httpPort,
    tlsPort: alpn,
    blocked: ['refused.test'],
    env: { PEBBLE_WFE_NONCEREJECT: '20' },
  });
  const cwd = temporaryFolder('acme');
  const hook = join(cwd, 'hook.mjs');
  writeFileSync(
    hook,
    `const [deed, name, value] = process.argv.slice(2);
     const body = JSON.stringify({ host: name + '.', value });
     const path = deed === 'present' ? '/set-txt' : '/clear-txt';
     await fetch('${pebble.recordsUrl}' + path, { method: 'POST', body });`,
  );
  const listener = (port: number, names: readonly string[], more: object) => ({
    port,
    host: '127.0.0.1',
    tls: {
      acme: {
        email: 'ops@example.test',
        ca: pebble.directoryUrl,
        ca_file: pebble.caFile,
        store_key: STORE_KEY,
        names,
        ...more,
      },
    },
  });
  const options = {
    cwd,
    ports: { port: httpPort, adminPort },
    config: {
      admin_port: adminPort,
      listeners: [
        { port: httpPort, host: '127.0.0.1', redirect_to_https: true },
        listener(first, ['refused.test', 'http.test'], {}),
        listener(alpn, ['alpn.test'], { challenge: 'tls-alpn-01' }),
        listener(dns, ['*.dns.test'], {
          dns_hook: { command: [process.execPath, hook], wait: '0s' },
        }),
      ],
      routes: [{ path: '/', deny: ['127.0.0.1'], pool: 'default' }],
      backends: [],
    },
  };
  return { fairlead: await startFairlead(options), pebble, cwd, options, ports };
}

describe.skipIf(!hasTool('pebble') || !hasTool('pebble-challtestsrv'))('with pebble', () => {
  test('each kind of challenge gets its certificate, which outlives a restart and an upgrade', async () => {
    const { fairlead, pebble, cwd, options, ports } = await onFreePorts(5, startSite);
    const [httpPort = 0, , first = 0, alpn = 0, dns = 0] = ports;
    for (const name of ['http.test', 'alpn.test', '*.dns.test']) {
      await fairlead.waitForLog(
        (line) => line.event === 'certificate.issued' && line['name'] === name,
        LONG_MS,
      );
    }
    expect(await servedAt(first, 'http.test')).toBe('HTTP/1.1 403 Forbidden');
    expect(await servedAt(alpn, 'alpn.test')).toBe('HTTP/1.1 403 Forbidden');
    expect(await servedAt(dns, 'www.dns.test')).toBe('HTTP/1.1 403 Forbidden');
    // One that has no certificate gets no other one.
    expect(await refusalOf(first, { servername: 'refused.test' })).toMatch(/UNRECOGNIZED_NAME/);
    // With nothing out, these are clients like any other.
    const place = `http://127.0.0.1:${httpPort}/.well-known/acme-challenge/nothing`;
    expect((await fetch(place, { redirect: 'manual' })).status).toBe(308);
    const asked = { servername: 'alpn.test', ALPNProtocols: ['acme-tls/1'] };
    expect(await refusalOf(alpn, asked)).not.toBe('served');
    const { acme } = (await (await fetch(`${fairlead.adminUrl}/certificates`)).json()) as {
      acme: Record<string, unknown>[];
    };
    expect(acme).toMatchObject([
      {
        name: 'refused.test',
        challenge: 'http-01',
        state: 'failing',
        failures: 1,
        problem: { type: 'rejectedIdentifier', hint: expect.stringContaining('names') },
      },
      { name: 'http.test', challenge: 'http-01', state: 'good', problem: null },
      { name: 'alpn.test', challenge: 'tls-alpn-01', state: 'good' },
      { name: '*.dns.test', challenge: 'dns-01', state: 'good' },
    ]);
    const metrics = await (await fetch(`${fairlead.adminUrl}/metrics`)).text();
    expect(metrics).toContain('fairlead_acme_orders_total{result="success"} 3');
    expect(metrics).toContain('fairlead_acme_names_failing 1');

    const store = join(cwd, 'fairlead.acme.json');
    expect(statSync(store).mode & 0o777).toBe(0o600);
    expect(readFileSync(store, 'utf8')).not.toMatch(/PRIVATE|pebble|http\.test/);
    expect(await fairlead.stop()).toBe(0);
    const { orders, accounts } = pebble;
    const again = await startFairlead({
      ...options,
      env: { NODE_OPTIONS: `--import ${WITHOUT_TLS_HANDLES}` },
    });
    expect(await servedAt(first, 'http.test')).toBe('HTTP/1.1 403 Forbidden');
    expect(await servedAt(dns, 'www.dns.test')).toBe('HTTP/1.1 403 Forbidden');
    expect(again.logs().filter(({ event }) => event?.startsWith('certificate.'))).toEqual([]);
    expect([pebble.orders, pebble.accounts]).toEqual([orders, accounts]);
    expect([orders, accounts]).toEqual([3, 1]);

    // With TLS on sockets, and then by a process that takes the place of this one.
    const issuedFor = (name: string) =>
      again.waitForLog(
        (line) => line.event === 'certificate.issued' && line['name'] === name,
        LONG_MS,
      );
    const want = async (port: number, names: readonly string[]): Promise<void> => {
      const one = options.config.listeners.find((it) => it.port === port);
      if (one === undefined || !('tls' in one)) throw new Error('no such listener');
      Object.assign(one.tls.acme, { names });
      writeFileSync(join(cwd, 'fairlead.config.json'), JSON.stringify(options.config));
      const { status } = await fetch(`${again.adminUrl}/reload`, { method: 'POST' });
      if (status !== 200) throw new Error(`reload: ${status}`);
    };
    await want(alpn, ['alpn.test', 'sockets.test']);
    await issuedFor('sockets.test');
    expect(await servedAt(alpn, 'sockets.test')).toBe('HTTP/1.1 403 Forbidden');
    const upgrade = await fetch(`${again.adminUrl}/upgrade`, { method: 'POST' });
    expect(upgrade.status).toBe(200);
    for (const name of ['alpn.test', 'sockets.test']) {
      expect(await servedAt(alpn, name)).toBe('HTTP/1.1 403 Forbidden');
    }
    // It has the store as soon as the one before has ended.
    await want(alpn, ['alpn.test', 'sockets.test', 'upgraded.test']);
    await issuedFor('upgraded.test');
    expect(await servedAt(alpn, 'upgraded.test')).toBe('HTTP/1.1 403 Forbidden');
    expect([pebble.orders, pebble.accounts]).toEqual([5, 1]);
  });
});
