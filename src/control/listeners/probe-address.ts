/** Finds out whether an address can be listened on, by listening on it for a moment. */
import { once } from 'node:events';
import net from 'node:net';

/** Rejects with the system's error, whose `code` is EADDRINUSE, EACCES or EADDRNOTAVAIL. Port 0 is always free. */
export async function probeAddress(host: string | undefined, port: number): Promise<void> {
  if (port === 0) return;
  const server = net.createServer();
  server.listen({ port, host, exclusive: true });
  await once(server, 'listening');
  server.close();
  await once(server, 'close');
}
