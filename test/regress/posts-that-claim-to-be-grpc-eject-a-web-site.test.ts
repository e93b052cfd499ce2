/**
 * Whoever sent `content-type: application/grpc` to a web site over HTTP/2 had its backends ejected: its pages, its 404 and its 415 have no
 * grpc-status, which a client of gRPC takes for UNKNOWN, and so they counted as faults.
 */
import http2 from 'node:http2';
import { expect, test } from 'vitest';
import { call, endOf, message } from '../behaviour/grpc-client.ts';
import { metrics, startProxy } from '../behaviour/stage.ts';
import { afterTest } from '../support/after-test.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { http2Backend } from '../support/http2-backend.ts';

const CALLS = 12;

const site = () =>
  http2Backend((stream, fields) => {
    const path = String(fields[':path']);
    const type = path === '/test.Broken/Call' ? 'application/grpc' : 'text/html';
    stream.respond({ ':status': Number(/\d+/.exec(path) ?? 200), 'content-type': type });
    stream.end('<p>');
  });

test('a page is judged by its status, whatever its client takes it for', async () => {
  const backends = [await site(), await site()];
  await onFreePorts(1, async ([port = 0]) => {
    const fairlead = await startProxy(
      backends.map(({ url }) => url),
      {
        protocol: 'h2',
        outlier_detection: { consecutive_5xx: 2, base_ejection: '1h', max_ejection: '1h' },
        listeners: [{ port, host: '127.0.0.1', h2c: true }],
      },
      { args: [] },
    );
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', () => {});
    afterTest(() => session.destroy());
    const ask = async (path: string): Promise<unknown> => {
      const stream = call(session, path);
      stream.end(message('hello'));
      return (await endOf(stream)).fields[':status'];
    };
    for (let count = 0; count < CALLS; count++) {
      for (const status of [200, 400, 404, 415]) expect(await ask(`/${status}`)).toBe(status);
    }
    expect(fairlead.logs().filter(({ event }) => event === 'backend.ejected')).toEqual([]);
    const counted = [...(await metrics(fairlead)).keys()].filter((name) =>
      /^fairlead_grpc_calls_total.*"2"/.test(name),
    );
    expect(counted.length).toBeGreaterThan(0);
    // One that speaks gRPC, and ends a call without a status, is broken.
    for (let count = 0; count < CALLS; count++) await ask('/test.Broken/Call');
    await fairlead.waitForLog(({ event }) => event === 'backend.ejected');
  });
});
