/** `health_check: { method: grpc }`: a backend gets requests while its service says SERVING. */
import { expect, test } from 'vitest';
import { startFairlead } from '../support/fairlead.ts';
import { http2Backend } from '../support/http2-backend.ts';
import { waitFor } from '../support/wait-for.ts';

const SERVING = 1;
const NOT_SERVING = 2;

interface View {
  readonly health: string;
  readonly reason: string;
}

test('a service that stops serving gets no requests until it serves again', async () => {
  let status = SERVING;
  const { url, requests } = await http2Backend((stream) => {
    const head = { ':status': 200, 'content-type': 'application/grpc' };
    stream.respond(head, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 0x08, status]));
  });
  const fairlead = await startFairlead({
    config: {
      pools: {
        cart: {
          protocol: 'h2',
          backends: [url],
          health_check: {
            method: 'grpc',
            service: 'shop.v1.Cart',
            frequency: '100ms',
            timeout: '10s',
            rise: 1,
            fall: 1,
          },
        },
      },
      routes: [{ pool: 'cart' }],
    },
  });
  const view = async (): Promise<View> => {
    const answer = await fetch(`${fairlead.adminUrl}/pools/cart/backends`);
    return ((await answer.json()) as View[])[0] as View;
  };
  await waitFor(async () => (await view()).health === 'healthy');
  expect((await view()).reason).toContain('gRPC check of shop.v1.Cart');
  expect(new Set(requests)).toEqual(new Set(['POST /grpc.health.v1.Health/Check']));
  expect((await fetch(`${fairlead.url}/page`)).status).toBe(200);

  status = NOT_SERVING;
  await waitFor(async () => (await view()).health === 'unhealthy');
  expect((await view()).reason).toContain('NOT_SERVING');
  status = SERVING;
  await waitFor(async () => (await view()).health === 'healthy');
});
