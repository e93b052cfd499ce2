import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** The ports that were given out: the system may well name one twice, as soon as it is free again. */
const given = new Set<number>();

/**
 * A port that was free a moment ago on all addresses, and that no call before has returned. Another process may take it
 * before the caller does: whoever must not fail then tries again with another one, as `startFairlead` does.
 */
export async function freePort(): Promise<number> {
  let port = await portOfTheSystem();
  // Bounded: a test file asks for a few dozen of some 28,000.
  for (let tries = 1; given.has(port) && tries < 100; tries++) port = await portOfTheSystem();
  given.add(port);
  return port;
}

async function portOfTheSystem(): Promise<number> {
  const server = createServer();
  server.listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
