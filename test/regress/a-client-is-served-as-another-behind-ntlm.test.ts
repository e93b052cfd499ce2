/**
 * NTLM and Negotiate authenticate a connection: the next client on it was served as the one before, with all that one may
 * see. And the handshake takes several requests on one connection, which a busy pool did not give it.
 */
import { expect, test } from 'vitest';
import { get, NOTHING, type Script, type Stage, startStage } from '../behaviour/stage.ts';
import { okResponse } from '../support/raw-backend.ts';
import { type RawClient, type RawResponse } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';

/** Who has proved to be who on which connection; the handshake is a challenge and its answer, as with NTLM. */
function authenticating(scheme: string): Script {
  const state = new WeakMap<object, string>();
  return async (connection, head) => {
    const token = new RegExp(`^authorization: ${scheme} (.*?)\\r\\n`, 'im').exec(head)?.[1];
    const known = state.get(connection);
    if (token === 'hello') {
      state.set(connection, 'challenged');
      await connection.write(challenge(`${scheme} riddle`));
    } else if (token !== undefined && known === 'challenged') {
      state.set(connection, token);
      await connection.write(okResponse(`you are ${token}`));
    } else if (known === undefined || known === 'challenged') {
      await connection.write(challenge(scheme));
    } else {
      await connection.write(okResponse(`you are ${known}`));
    }
  };
}

function challenge(value: string): string {
  return `HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: ${value}\r\nContent-Length: 0\r\n\r\n`;
}

async function ask(client: RawClient, path: string, fields: string[] = []): Promise<RawResponse> {
  await client.write(get(path, fields));
  return client.readResponse();
}

async function logIn(client: RawClient, path: string, scheme: string, name: string): Promise<void> {
  expect((await ask(client, path)).status).toBe(401);
  expect((await ask(client, path, [`Authorization: ${scheme} hello`])).status).toBe(401);
  const third = await ask(client, path, [`Authorization: ${scheme} ${name}`]);
  expect(third.body.toString()).toBe(`you are ${name}`);
}

function stageWith(path: string, scheme: string, config = {}): Promise<Stage> {
  return startStage(config).then((stage) => {
    stage.on(path, authenticating(scheme));
    return stage;
  });
}

test.each(['NTLM', 'Negotiate', 'negotiate'])(
  '%s: the connection serves its client on, and no other client',
  async (scheme) => {
    const stage = await stageWith('/mine', scheme);
    const [first, second] = [await stage.client(), await stage.client()];
    await logIn(first, '/mine', scheme, 'alice');
    for (let round = 0; round < 3; round++) {
      expect((await ask(second, '/mine')).status).toBe(401);
      expect((await ask(first, '/mine')).body.toString()).toBe('you are alice');
    }
    await logIn(second, '/mine', scheme, 'bob');
    expect((await ask(first, '/mine')).body.toString()).toBe('you are alice');
  },
);

test('two handshakes at once keep to their own connections', async () => {
  const stage = await stageWith('/both', 'NTLM');
  const [first, second] = [await stage.client(), await stage.client()];
  for (const client of [first, second]) {
    expect((await ask(client, '/both', ['Authorization: NTLM hello'])).status).toBe(401);
  }
  expect((await ask(first, '/both', ['Authorization: NTLM alice'])).status).toBe(200);
  expect((await ask(second, '/both', ['Authorization: NTLM bob'])).status).toBe(200);
  expect((await ask(first, '/both')).body.toString()).toBe('you are alice');
});

test('credentials that a backend takes without a challenge count as well', async () => {
  const stage = await startStage();
  const first = await stage.client();
  expect((await ask(first, '/silent', ['Authorization: Negotiate token'])).status).toBe(200);
  const second = await stage.client();
  expect((await ask(second, '/silent')).status).toBe(200);
  expect((await ask(first, '/silent')).status).toBe(200);
  const [one, other, again] = stage.backend.served('/silent');
  expect(other).not.toBe(one);
  expect(again).toBe(one);
});

test('a challenge among others counts, and other schemes share connections', async () => {
  const stage = await startStage();
  stage.on('/list', (connection) => connection.write(challenge('Basic realm="x", NTLM')));
  stage.on('/basic', (connection) => connection.write(challenge('Basic realm="NTLM"')));
  for (const path of ['/list', '/basic']) {
    const [first, second] = [await stage.client(), await stage.client()];
    const fields = ['Authorization: Basic YTpi'];
    expect((await ask(first, path, fields)).status).toBe(401);
    expect((await ask(second, path, fields)).status).toBe(401);
    const [one, other] = stage.backend.served(path);
    expect(other === one).toBe(path === '/basic');
    for (const client of [first, second]) client.reset();
    expect(await stage.leftover()).toEqual(NOTHING);
  }
});

test('the connection is closed when its client goes, and when its backend is removed', async () => {
  const stage = await stageWith('/gone', 'NTLM');
  const first = await stage.client();
  await logIn(first, '/gone', 'NTLM', 'alice');
  const connection = stage.backend.served('/gone')[0];
  expect(connection?.isEnded).toBe(false);
  first.end();
  await waitFor(() => connection?.isEnded);

  const second = await stage.client();
  await logIn(second, '/gone', 'NTLM', 'bob');
  const [id] = (await stage.backends()).map((backend) => backend['id']);
  const answer = await fetch(`${stage.fairlead.adminUrl}/backends/${String(id)}`, {
    method: 'DELETE',
  });
  expect(answer.ok).toBe(true);
  await waitFor(() => stage.backend.served('/gone').at(-1)?.isEnded);
  expect((await ask(second, '/gone')).status).toBe(503);
});

test('connections that wait for their clients give way where connections are few', async () => {
  const stage = await stageWith('/few', 'NTLM', { max_connections: 1 });
  const [first, second] = [await stage.client(), await stage.client()];
  await logIn(first, '/few', 'NTLM', 'alice');
  await logIn(second, '/few', 'NTLM', 'bob');
  expect((await ask(first, '/few')).status).toBe(401);
});
