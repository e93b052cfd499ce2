/**
 * A body in chunks of one byte was held as one buffer per byte, and each byte left in three writes: 50 clients with 64 KiB
 * each made a gigabyte of them while their backend did not read.
 */
import { expect, test } from 'vitest';
import { startStage } from '../behaviour/stage.ts';
import { okResponse } from '../support/raw-backend.ts';

function letters(length: number): string {
  return Array.from({ length }, (_, index) => String.fromCharCode(97 + (index % 23))).join('');
}

/** One chunk for each byte. */
function tinyChunks(body: string): string {
  return `${[...body].map((byte) => `1\r\n${byte}\r\n`).join('')}0\r\n\r\n`;
}

test('chunks of one byte leave as chunks of many', async () => {
  const stage = await startStage();
  const body = letters(150_000);
  let sent = '';
  stage.on('/tiny', async (connection) => {
    sent = await connection.readUntil('\r\n0\r\n\r\n');
    await connection.write(okResponse());
  });
  const client = await stage.client();
  await client.write(`POST /tiny HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`);
  await client.write(tinyChunks(body));
  await client.readResponse();
  expect(sent.length).toBeLessThan(body.length * 1.1);
  expect(decoded(sent)).toBe(body);
});

test('chunks of one byte reach the client as chunks of many', async () => {
  const stage = await startStage();
  const body = letters(150_000);
  const HEAD = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
  stage.on('/tiny', (connection) => connection.write(`${HEAD}${tinyChunks(body)}`));
  const client = await stage.client();
  await client.write('GET /tiny HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.readUntil('\r\n\r\n');
  const received = await client.readUntil('\r\n0\r\n\r\n');
  expect(received.length).toBeLessThan(body.length * 1.1);
  expect(decoded(received)).toBe(body);
});

test('a body that was gathered is sent again byte for byte', async () => {
  const stage = await startStage();
  const body = letters(40_000);
  const bodies: string[] = [];
  stage.on('/again', async (connection, head) => {
    const length = /^content-length: (\d+)/im.exec(head)?.[1];
    bodies.push(
      length === undefined
        ? decoded(await connection.readUntil('\r\n0\r\n\r\n'))
        : (await connection.readBytes(Number(length))).toString('latin1'),
    );
    if (bodies.length === 1) connection.reset();
    else await connection.write(okResponse());
  });
  const client = await stage.client();
  await client.write('GET /warm HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.readResponse();
  await client.write(`PUT /again HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`);
  await client.write(tinyChunks(body));
  expect((await client.readResponse()).status).toBe(200);
  expect(bodies).toEqual([body, body]);
});

function decoded(chunks: string): string {
  let body = '';
  let rest = chunks;
  for (;;) {
    const lineEnd = rest.indexOf('\r\n');
    const size = Number.parseInt(rest.slice(0, lineEnd), 16);
    if (size === 0) return body;
    body += rest.slice(lineEnd + 2, lineEnd + 2 + size);
    rest = rest.slice(lineEnd + 2 + size + 2);
  }
}
