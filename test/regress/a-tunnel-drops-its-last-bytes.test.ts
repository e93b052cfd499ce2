import { expect, test } from 'vitest';
import type { BackendConnection } from '../../src/data/backend/backend-connection.ts';
import { OpenTunnels } from '../../src/data/relay/open-tunnels.ts';
import { Tunnel } from '../../src/data/relay/tunnel.ts';

/**
 * A backend had half-closed, and had not read all yet when the client ended as well: the tunnel was over, and what waited
 * for the backend was thrown away without a sign.
 */
test.each(['the backend', 'the client'])(
  'bytes that wait when %s ends last still leave',
  (last) => {
    const events: string[] = [];
    const backend = {
      backend: { spec: { id: 0 }, counters: { tunnelsChanged: () => {} } },
      isFlushed: true,
      assign: () => {},
      enableTcpKeepAlive: () => {},
      end: () => events.push('fin to the backend'),
    };
    const client = { endWriting: () => events.push('fin to the client') };
    const owner = {
      context: {
        heldMemory: { paused: () => {} },
        tunnels: new OpenTunnels(Math.random, () => {}),
      },
      onTunnelBytes: () => {},
      onTunnelOver: () => events.push('over'),
      onTunnelBroken: () => events.push('broken'),
      onCrashed: () => events.push('crashed'),
    };
    const tunnel = new Tunnel(
      owner,
      client as unknown as ConstructorParameters<typeof Tunnel>[1],
      backend as unknown as BackendConnection,
      true,
    );
    const sides = [
      () => tunnel.onBackendEnd('the backend closed the connection', false),
      () => tunnel.clientEnded(),
    ];
    if (last === 'the backend') sides.reverse();
    backend.isFlushed = false;
    for (const end of sides) end();
    expect(events.toSorted()).toEqual(['fin to the backend', 'fin to the client']);
    // Everything has left, and the stream has closed by itself.
    tunnel.onBackendEnd('the connection closed', true);
    expect(events.at(-1)).toBe('over');
  },
);
