import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { leastOf } from '../support/wait-for.ts';

const CLIENTS = 250;
const UPLOAD = Buffer.alloc(384 * 1024, 'x');

function residentKiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
}

/**
 * A connection that reads a large body has 128 KiB of its own to read into. It kept them when the body was over and the
 * client had nothing more to say: 4,000 such clients were half a GiB.
 */
test.runIf(process.platform === 'linux')(
  'clients that have uploaded cost no more than others',
  async () => {
    const backend = await httpBackend((request, response) => {
      request.resume().on('end', () => response.end('ok'));
    });
    const fairlead = await startFairlead({ args: [backend.url, '--threads', '1'] });
    async function upload(body: Buffer): Promise<void> {
      const client = await rawClient(fairlead.port);
      client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`);
      client.write(body);
      expect(await client.readUntil('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
    }
    for (let round = 0; round < 20; round++) await upload(UPLOAD);
    for (let round = 0; round < CLIENTS; round++) await upload(Buffer.from('small'));
    const grown = async (): Promise<number> => {
      const before = residentKiB(fairlead.pid);
      for (let round = 0; round < CLIENTS; round++) await upload(UPLOAD);
      return (residentKiB(fairlead.pid) - before) / CLIENTS;
    };
    expect(await leastOf(grown, 60)).toBeLessThan(60);
  },
);
