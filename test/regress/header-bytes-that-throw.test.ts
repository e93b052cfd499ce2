import { beforeAll, expect, test } from 'vitest';
import { answer, get, NOTHING, type Stage, startStage } from '../behaviour/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage();
});

const BYTES = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code));

/** http-proxy#964: a byte that node:http refuses to send threw, and ended the process. */
test('any byte in a field of a response is relayed or a 502, never an exception', async () => {
  const client = await stage.client();
  for (const byte of BYTES) {
    for (const field of [`X-Value: a${byte}b`, `X-${byte}-Name: a`]) {
      stage.on('/any-byte', answer(`HTTP/1.1 200 OK\r\n${field}\r\nContent-Length: 0\r\n\r\n`));
      await client.write(get('/any-byte'));
      const { status } = await client.readResponse();
      expect([200, 502]).toContain(status);
    }
  }
  expect(stage.fairlead.logs().some(({ event }) => event === 'data_thread.died')).toBe(false);
});

test('any byte in a field of a request is relayed or a 400, never an exception', async () => {
  for (const byte of BYTES) {
    for (const field of [`X-Value: a${byte}b`, `X-${byte}-Name: a`]) {
      const client = await stage.client();
      await client.write(get('/any-request-byte', [field, 'Connection: close']));
      expect([200, 400]).toContain((await client.readResponse()).status);
      client.reset();
    }
  }
  expect(await stage.leftover()).toEqual(NOTHING);
  expect(stage.fairlead.logs().some(({ event }) => event === 'data_thread.died')).toBe(false);
});

test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
  'a field called %s is a field',
  async (name) => {
    stage.on(
      `/field/${name}`,
      answer(`HTTP/1.1 200 OK\r\n${name}: 1\r\nContent-Length: 0\r\n\r\n`),
    );
    const client = await stage.client();
    await client.write(get(`/field/${name}`, [`${name}: 1`, `Connection: x-${name}`]));
    expect((await client.readResponse()).head).toContain(`\r\n${name}: 1\r\n`);
    expect((await stage.backend.request(`/field/${name}`)).text).toContain(`\r\n${name}: 1\r\n`);
  },
);

test.each(['000', '099', '100', '199', '600', '999', '1000', '-20', '2e2'])(
  'a status of %s ends nothing but its own exchange',
  async (status) => {
    stage.on('/odd-status', answer(`HTTP/1.1 ${status} Odd\r\nContent-Length: 0\r\n\r\n`));
    const client = await stage.client();
    await client.write(get('/odd-status'));
    const head = await client.readUntil('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1\.1 (502|100|199|600|999) /);
    client.reset();
    const other = await stage.client();
    await other.write(get('/after-odd-status'));
    expect((await other.readResponse()).status).toBe(200);
  },
);
