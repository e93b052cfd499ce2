/**
 * A backend of HTTP/2 said `content-length: 0`, and then trailers: its client got a head that ended the stream, and no trailers. So a call
 * of gRPC that had failed had no status.
 */
import http2 from 'node:http2';
import { expect, test } from 'vitest';
import { call, endOf, message } from '../behaviour/grpc-client.ts';
import { ask } from '../behaviour/http2-stage.ts';
import { startProxy } from '../behaviour/stage.ts';
import { afterTest } from '../support/after-test.ts';
import { onFreePorts } from '../support/free-ports.ts';
import { http2Backend } from '../support/http2-backend.ts';

const RESOURCE_EXHAUSTED = 8;

test('an empty body may have trailers', async () => {
  const heads: (() => void)[] = [];
  const backend = await http2Backend((stream, fields) => {
    const type = fields['content-type'] ?? 'text/plain';
    stream.on('wantTrailers', () => {
      stream.sendTrailers({ 'grpc-status': `${RESOURCE_EXHAUSTED}`, 'x-last': '1' });
    });
    stream.respond(
      { ':status': 200, 'content-type': type, 'content-length': '0' },
      { waitForTrailers: true },
    );
    if (fields[':path'] === '/late') heads.push(() => stream.end());
    else stream.end();
  });
  await onFreePorts(1, async ([port = 0]) => {
    const listeners = [{ port, host: '127.0.0.1', h2c: true }];
    await startProxy([backend.url], { protocol: 'h2', listeners }, { args: [] });
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', () => {});
    afterTest(() => session.destroy());
    for (const path of ['/test/Call', '/late']) {
      const stream = call(session, path);
      stream.end(message('hello'));
      // With its head before it there is more to come.
      if (path === '/late') stream.on('response', () => heads[0]?.());
      const ended = await endOf(stream);
      expect([path, ended.isTrailersOnly, ended.status]).toEqual([path, false, RESOURCE_EXHAUSTED]);
    }
    const { headers, trailers, body } = await ask(session, { ':path': '/' });
    expect([headers['content-length'], trailers['x-last'], body.length]).toEqual(['0', '1', 0]);
    const head = await ask(session, { ':path': '/', ':method': 'HEAD' });
    expect(head.status).toBe(200);
  });
});
