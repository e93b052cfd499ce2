/**
 * Calls that need no token read bodies of up to 1 MiB all the same, and an IPv6 client could hold all connections, one from each
 * of its addresses: half a gigabyte for whoever reaches the port.
 */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { AdminConnections } from '../../src/control/admin/connections.ts';
import { recordLog } from '../control/fixtures.ts';
import { running } from '../control/running.ts';
import { rawClient } from '../support/raw-client.ts';

test('what is sent with a call that is open to all is not waited for', async () => {
  const { fairlead } = await running();
  const client = await rawClient(fairlead.adminPort);
  await client.write('GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n');
  const { status, fields } = await client.readResponse();
  expect([status, fields.get('connection')]).toEqual([200, ['close']]);
});

test('all addresses of one IPv6 client count as one', () => {
  let now = 0;
  const log = recordLog();
  const connections = new AdminConnections({ log, now: () => now });
  const closed: string[] = [];
  for (let host = 1; host <= 33; host++) {
    const remoteAddress = `2001:db8::${host.toString(16)}`;
    const destroy = (): void => void closed.push(remoteAddress);
    connections.admit(
      Object.assign(new EventEmitter(), { remoteAddress, destroy }) as unknown as Socket,
    );
    now += 2_000;
  }
  expect(closed).toEqual(['2001:db8::1']);
});
