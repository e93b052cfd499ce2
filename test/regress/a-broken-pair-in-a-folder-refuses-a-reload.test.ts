/**
 * One half-written key in a folder of certificates, and a reload was refused as a whole: whatever else had changed waited for it, a
 * new `deny` among it; and no start was possible. The watch of the same folder had long gone on without it.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Authority } from '../support/authority.ts';
import { runFairlead, startFairlead } from '../support/fairlead.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { refusalOf, visit } from '../support/tls-client.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

interface View {
  readonly certificates: readonly { readonly names: string[] }[];
  readonly faults: readonly { readonly file: string }[];
}

test.runIf(hasTool('openssl'))(
  'at a reload and at a start, it costs nothing but itself',
  async () => {
    const authority = new Authority();
    const folder = temporaryFolder('broken-pair');
    mkdirSync(join(folder, 'certs'));
    const put = (name: string): void => {
      const { cert, key } = authority.sign(`${name}.test`);
      writeFileSync(join(folder, `certs/${name}.key`), key);
      writeFileSync(join(folder, `certs/${name}.crt`), cert);
    };
    put('a');
    put('b');
    const backend = await httpBackend();
    const file = join(folder, 'fairlead.config.json');
    const configOf = (port: number, adminPort: number, more: object): Record<string, unknown> => ({
      admin_port: adminPort,
      backends: [backend.url],
      listeners: [{ port, tls: { certificates: [{ folder: 'certs' }], ...more } }],
    });
    const start = (): Promise<
      readonly [Awaited<ReturnType<typeof startFairlead>>, number, number]
    > =>
      onFreePorts(2, async ([port = 0, adminPort = 0]) => {
        const config = configOf(port, adminPort, {});
        const ports = { port, adminPort };
        return [await startFairlead({ config, ports, cwd: folder }), port, adminPort] as const;
      });
    const [fairlead, port, adminPort] = await start();
    const call = async (path: string, init?: RequestInit): Promise<unknown> => {
      const answer = await fetch(`${fairlead.adminUrl}${path}`, init);
      return { status: answer.status, body: await answer.json() };
    };
    const view = async (): Promise<View> => ((await call('/certificates')) as { body: View }).body;

    writeFileSync(
      join(folder, 'certs/b.key'),
      readFileSync(join(folder, 'certs/b.key'), 'utf8').slice(0, 99),
    );
    writeFileSync(file, JSON.stringify(configOf(port, adminPort, { unknown_name: 'refuse' })));
    const said = [
      expect.stringMatching(/certificate is not taken up: .*b\.key holds no private key/),
    ];
    const body = readFileSync(file, 'utf8');
    expect(await call('/config:validate', { method: 'POST', body })).toMatchObject({
      status: 200,
      body: { notes: expect.arrayContaining(said) as unknown },
    });
    expect(await call('/reload', { method: 'POST' })).toMatchObject({
      status: 200,
      body: { changed: true, notes: expect.arrayContaining(said) as unknown },
    });
    expect((await visit(port, { servername: 'a.test' })).name).toBe('a.test');
    expect((await visit(port, { servername: 'b.test' })).name).toBe('b.test');
    expect(await refusalOf(port, { servername: 'c.test' })).toMatch(/UNRECOGNIZED_NAME/);
    expect((await view()).faults).toHaveLength(2);
    const metrics = await (await fetch(`${fairlead.adminUrl}/metrics`)).text();
    expect(metrics).toMatch(/^fairlead_certificate_files_broken 2$/m);
    const refused = await fairlead.waitForLog(({ event }) => event === 'certificate.refused');
    expect(refused.msg).toContain('The one before stays in force');
    expect((await runFairlead(['check', '--config', file])).code).toBe(2);
    await fairlead.stop();

    const [again, itsPort] = await start();
    expect((await visit(itsPort, { servername: 'b.test' })).name).toBe('a.test');
    const left = await again.waitForLog(({ event }) => event === 'certificate.refused');
    expect(left.msg).toContain('There is none in its place');
    put('b');
    await waitFor(async () => (await visit(itsPort, { servername: 'b.test' })).name === 'b.test');
    await again.stop();

    for (const name of ['a', 'b']) writeFileSync(join(folder, `certs/${name}.crt`), 'x');
    const none = await runFairlead(['--config', file]);
    expect(none).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('a.crt holds no certificate') as string,
    });
  },
);
