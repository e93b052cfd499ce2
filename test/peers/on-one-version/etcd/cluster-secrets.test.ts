/** Secrets that instances share by a real etcd, as clients see them: whichever instance takes them next knows them. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeCertificate } from '../../../support/certificate.ts';
import { type Etcd, startEtcd } from '../../../support/etcd.ts';
import { httpBackend } from '../../../support/http-backend.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { visit } from '../../../support/tls-client.ts';
import { hasTool } from '../../../support/tools.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { call, configOf, initCluster, startInstance } from './instances.ts';

function revisionOf(etcd: Etcd, key: string): number | undefined {
  const text = etcd.control('get', `/fairlead/shop/cfg/${key}`, '-w', 'json');
  const { kvs = [] } = JSON.parse(text) as { kvs?: { mod_revision: number }[] };
  return kvs[0]?.mod_revision;
}

test.skipIf(!hasTool('etcd') || !hasTool('openssl'))(
  'a session cookie of one instance is good at the other, and so is a session of TLS',
  async () => {
    const backends = await Promise.all(
      ['x', 'y', 'z'].map((name) => httpBackend((_request, response) => response.end(name))),
    );
    const etcd = await startEtcd({ folder: temporaryFolder('etcd') });
    const file = join(temporaryFolder('key'), 'key');
    writeFileSync(file, randomBytes(32).toString('base64'));
    await initCluster(etcd.url, {
      backends: backends.map(({ url }) => url),
      sticky: { by: 'cookie', name: 'shop' },
    });
    const ssl = makeCertificate();
    const start = (name: string) => {
      const { cluster } = configOf(name, etcd.url);
      const more = { ssl, cluster: { ...(cluster as object), key_file: file } };
      return startInstance(name, etcd.url, { more });
    };
    const [a, b] = await Promise.all([start('a'), start('b')]);
    // Both run on what one of them has made.
    await waitFor(async () => {
      const [head, sealed] = ['meta/head', 'sec/tickets'].map((key) => revisionOf(etcd, key));
      const answers = await Promise.all([a, b].map((it) => call(it, 'GET', '/cluster')));
      const revisions = answers.map(({ body }) => (body as { revision: number }).revision);
      return sealed !== undefined && revisions.every((revision) => revision === head);
    });
    const first = await waitFor(async () => {
      const answer = await visit(a.port);
      return answer.session === undefined ? undefined : answer;
    });
    const [, cookie] = /set-cookie: (shop=[^;\r]+)/i.exec(first.answer) ?? [];
    const body = first.answer.at(-1);
    expect(cookie).toBeDefined();
    for (let visits = 0; visits < 6; visits++) {
      const session = visits === 0 ? first.session : undefined;
      const next = await visit(b.port, session && { session }, `Cookie: ${cookie}\r\n`);
      expect(next.answer.at(-1)).toBe(body);
      // The cookie is known: it is not given anew for another backend.
      expect(next.answer).not.toMatch(
        new RegExp(`set-cookie: shop=(?!${cookie?.slice('shop='.length)})`, 'i'),
      );
      expect(next.isReused).toBe(session !== undefined);
    }
  },
  60_000,
);
