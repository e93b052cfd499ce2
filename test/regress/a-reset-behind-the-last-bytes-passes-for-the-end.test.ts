/**
 * A response that ends with its connection is complete only when the backend closed in order (RFC 9112 §8). On Node 20 a
 * reset right behind some bytes looks like an end: nearly all such responses were passed on as complete.
 */
import { expect, test } from 'vitest';
import { startStage } from '../behaviour/stage.ts';

test('a response that a reset cuts short is never passed on as complete', async () => {
  const stage = await startStage();
  stage.on('/cut', async (connection) => {
    await connection.write('HTTP/1.1 200 OK\r\n\r\npart');
    connection.reset();
  });
  for (let round = 0; round < 100; round++) {
    const client = await stage.client();
    await client.write('GET /cut HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await client.closed;
    expect(client.text).not.toContain('0\r\n\r\n');
  }
});

test('a response that the end of its connection ends is complete', async () => {
  const stage = await startStage();
  stage.on('/whole', async (connection) => {
    await connection.write('HTTP/1.1 200 OK\r\n\r\nwhole');
    connection.end();
  });
  const client = await stage.client();
  for (let round = 0; round < 100; round++) {
    await client.write('GET /whole HTTP/1.1\r\nHost: a\r\n\r\n');
    expect((await client.readResponse()).body.toString()).toBe('whole');
  }
});
