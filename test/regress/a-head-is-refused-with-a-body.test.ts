/**
 * A HEAD whose fields were wrong was answered 400 with a body: a client reads that as the beginning of the next response.
 * Once its method has come, no answer to a HEAD has one (RFC 9110 §9.3.2), whoever refuses it and why.
 */
import { beforeAll, expect, test } from 'vitest';
import { type Stage, startStage } from '../behaviour/stage.ts';
import { rawClient } from '../support/raw-client.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await startStage();
});

/** Everything that comes behind the first head, up to the end. */
async function answerTo(port: number, text: string): Promise<{ status: string; body: string }> {
  const client = await rawClient(port);
  await client.write(text);
  const answer = (await client.readToEnd()).toString('latin1');
  const headEnd = answer.indexOf('\r\n\r\n') + 4;
  return { status: answer.slice(9, 12), body: answer.slice(headEnd) };
}

const BAD: readonly (readonly [status: string, what: string, rest: string])[] = [
  ['400', 'a field name with a space', '/ HTTP/1.1\r\nHost: a\r\nA : 1\r\n\r\n'],
  ['400', 'no Host', '/ HTTP/1.1\r\n\r\n'],
  ['400', 'two lengths', '/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
  ['400', 'a bad target', '/# HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['400', 'a bad version', '/ HTTX/1.1\r\nHost: a\r\n\r\n'],
  ['505', 'another version', '/ HTTP/2.0\r\nHost: a\r\n\r\n'],
  ['414', 'a long target', `/${'a'.repeat(40_000)} HTTP/1.1\r\nHost: a\r\n\r\n`],
  ['431', 'a long head', `/ HTTP/1.1\r\nHost: a\r\nA: ${'a'.repeat(40_000)}\r\n\r\n`],
];

test.each(BAD)('%s to a HEAD with %s: no body; to a GET: one', async (status, _what, rest) => {
  const { port } = stage.fairlead;
  expect(await answerTo(port, `HEAD ${rest}`)).toEqual({ status, body: '' });
  // An empty line before it does not hide the method.
  expect(await answerTo(port, `\r\nHEAD ${rest}`)).toEqual({ status, body: '' });
  const toGet = await answerTo(port, `GET ${rest}`);
  expect(toGet.status).toBe(status);
  expect(toGet.body).toContain(`${status} `);
});

test('a method that has not come whole is no HEAD, whatever came before on the connection', async () => {
  const { port } = stage.fairlead;
  const client = await rawClient(port);
  await client.write('HEAD /before HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.readResponse({ hasBody: false });
  await client.write('HEA\x01 / HTTP/1.1\r\n\r\n');
  const { status, body } = await client.readResponse();
  expect(status).toBe(400);
  expect(body.toString()).toContain('400 ');
});

test('a HEAD that is not complete in time: 408 without a body', async () => {
  const { fairlead } = await startStage({ timeouts: { head: '300ms' } });
  const answer = await answerTo(fairlead.port, 'HEAD / HTTP/1.1\r\nHost: a\r\n');
  expect(answer).toEqual({ status: '408', body: '' });
});

test('a HEAD whose backend breaks: 502 without a body', async () => {
  stage.on('/broken', (connection) => connection.reset());
  const text = 'HEAD /broken HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
  expect(await answerTo(stage.fairlead.port, text)).toEqual({ status: '502', body: '' });
});
