import { expect, test } from 'vitest';
import { ListenError } from '../../src/control/listeners/listening.ts';
import type { ListenerAddress, ListenerSnapshot } from '../../src/snapshot/snapshot.ts';

function reasonOf(code: string, address: ListenerAddress): string {
  const listener: ListenerSnapshot = {
    id: 0,
    name: 'it',
    address,
    descriptor: -1,
    tls: undefined,
    proxyProtocol: null,
    httpsPort: 0,
    h2c: false,
  };
  return new ListenError(code, `listen ${code}`, listener).reason;
}

const at = (port: number): ListenerAddress => ({ kind: 'tcp', host: undefined, port });
const FILE: ListenerAddress = { kind: 'unix', path: '/a', mode: 0o660 };

test.each([
  ['EADDRINUSE', at(80), 'the address is in use'],
  ['EADDRINUSE', FILE, 'the address is in use'],
  ['EADDRNOTAVAIL', at(80), 'this machine has no such address'],
  [
    'EACCES',
    at(1023),
    'ports below 1024 are for root and for whoever has CAP_NET_BIND_SERVICE (setcap, AmbientCapabilities=)',
  ],
  ['EACCES', at(1024), 'listen EACCES'],
  ['EACCES', FILE, 'listen EACCES'],
  ['EMFILE', at(80), 'listen EMFILE'],
] as const)('%s at %o', (code, address, reason) => {
  expect(reasonOf(code, address)).toBe(reason);
});
