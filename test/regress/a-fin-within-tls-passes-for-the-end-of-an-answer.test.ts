/**
 * A body without a length ends with its backend's connection. Over TLS that is said by close_notify: a FIN alone can come from
 * anybody on the way, who so cut answers short unseen (RFC 9112 §9.8).
 */
import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { beforeAll, describe, expect, test } from 'vitest';
import { get, startProxy } from '../behaviour/stage.ts';
import { afterTest } from '../support/after-test.ts';
import { Authority } from '../support/authority.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

const LONG = 'a long answer '.repeat(500_000);
const OK = 'HTTP/1.1 200 OK\r\n';

/** What is answered to each path, and whether TLS is told of the end. */
const ANSWERS: Readonly<Record<string, readonly [answer: string, isSaid: boolean]>> = {
  '/said': [`${OK}\r\nall of it`, true],
  '/said-long': [`${OK}\r\n${LONG}`, true],
  '/cut': [`${OK}\r\nhalf of it`, false],
  '/cut-long': [`${OK}\r\n${LONG}`, false],
  '/cut-before-it': [`${OK}\r\n`, false],
  '/with-length': [`${OK}Content-Length: 9\r\n\r\nall of it`, false],
  '/in-chunks': [`${OK}Transfer-Encoding: chunked\r\n\r\n9\r\nall of it\r\n0\r\n\r\n`, false],
};

/** Over TLS. @returns its port */
async function backend(authority: Authority): Promise<number> {
  const server = tls.createServer(authority.sign('localhost'), (socket) => {
    socket.on('error', () => {});
    socket.once('data', (head) => {
      const [, path = ''] = String(head).split(' ', 2);
      const [answer, isSaid] = ANSWERS[path] ?? ['', false];
      socket.write(answer, () => {
        if (isSaid) socket.end();
        else endBelow(socket);
      });
    });
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** The FIN of the TCP connection, past TLS. */
function endBelow(socket: tls.TLSSocket): void {
  const { _parent: carrier } = socket as unknown as { readonly _parent: Socket };
  carrier.end();
}

/** @param pauseMs how long the client reads nothing once it has asked. */
async function answerTo(fairlead: Fairlead, path: string, pauseMs = 0): Promise<'whole' | 'cut'> {
  const client = connect(fairlead.port, '127.0.0.1');
  afterTest(() => void client.destroy());
  let text = '';
  client.setEncoding('latin1');
  client.on('error', () => {});
  client.write(get(path, ['Connection: close']));
  if (pauseMs > 0) {
    client.pause();
    await sleep(pauseMs);
  }
  client.on('data', (chunk) => {
    text += chunk;
  });
  client.resume();
  // An error comes before it.
  await new Promise((resolve) => client.once('close', resolve));
  // By its last chunk or its length. A reset right behind some bytes may look like an end.
  return /0\r\n\r\n$|all of it$/.test(text) ? 'whole' : 'cut';
}

/** A Node on which TLS runs on sockets. */
const ON_SOCKETS = new URL('../support/without-tls-handles.mjs', import.meta.url).href;

describe.runIf(hasTool('openssl')).each([
  ['1', ''],
  ['2', ''],
  ['1', ON_SOCKETS],
  ['2', ON_SOCKETS],
])('with %s threads %s', (threads, preloaded) => {
  let authority: Authority;

  beforeAll(() => {
    authority = new Authority();
  });

  async function proxy(config = {}): Promise<Fairlead> {
    const url = `https://localhost:${await backend(authority)}`;
    const options = preloaded === '' ? {} : { NODE_OPTIONS: `--import ${preloaded}` };
    const env = { NODE_EXTRA_CA_CERTS: authority.file, ...options };
    return startProxy([url], config, { env, args: ['--threads', threads] });
  }

  test('an answer whose end TLS has not said is cut, unless its own framing says it', async () => {
    const fairlead = await proxy();
    expect(await answerTo(fairlead, '/said')).toBe('whole');
    expect(await answerTo(fairlead, '/said-long')).toBe('whole');
    expect(await answerTo(fairlead, '/said-long', 200)).toBe('whole');
    expect(await answerTo(fairlead, '/with-length')).toBe('whole');
    expect(await answerTo(fairlead, '/in-chunks')).toBe('whole');
    for (const path of ['/cut', '/cut-long', '/cut-before-it']) {
      expect(await answerTo(fairlead, path)).toBe('cut');
      const line = await waitFor(() => fairlead.accessLines().find((one) => one['path'] === path));
      expect(line).toMatchObject({
        status: 200,
        error: 'ERR_BACKEND_TRUNCATED',
        error_detail: 'the backend closed the connection without close_notify',
      });
    }
  });

  test('with lenient_responses any end is one', async () => {
    const fairlead = await proxy({ lenient_responses: true });
    expect(await answerTo(fairlead, '/cut')).toBe('whole');
    expect(await answerTo(fairlead, '/cut-long', 200)).toBe('whole');
  });
});
