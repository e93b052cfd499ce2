/** gRPC as @grpc/grpc-js speaks it, as client and as server, in the clear and over TLS on both sides. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  Client,
  type ClientReadableStream,
  credentials,
  Metadata,
  ServerCredentials,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { Authority } from '../support/authority.ts';
import { hasTool } from '../support/tools.ts';
import { LONG_MS, waitFor, within } from '../support/wait-for.ts';
import { type Front, inFlight, startFront, untilNothingIsLeft } from './front.ts';
import { AT_ONCE, arrived, asIs, cancelled, type Name, startServer } from './grpc-service.ts';

const MIB = 1024 * 1024;

let front: Front;
const clients: Client[] = [];

beforeAll(async () => {
  const authority = new Authority();
  const { cert, key } = authority.sign('localhost');
  const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
  const plain = await startServer('plain', ServerCredentials.createInsecure());
  const tls = await startServer('tls', ServerCredentials.createSsl(null, [pair]));
  front = await startFront(
    {
      plain: { protocol: 'h2', backends: [`http://127.0.0.1:${plain}`] },
      tls: { protocol: 'h2', backends: [`https://localhost:${tls}`] },
    },
    { env: { NODE_EXTRA_CA_CERTS: authority.file } },
  );
  afterTest(closeClients);
});

function closeClients(): void {
  for (const client of clients.splice(0)) client.close();
}

/** Each on a connection of its own. */
function connect(isTls: boolean): Client {
  const secrets = isTls
    ? credentials.createSsl(readFileSync(front.certificate.cert_file))
    : credentials.createInsecure();
  const port = isTls ? front.tls : front.h2c;
  const client = new Client(`127.0.0.1:${port}`, secrets, {
    'grpc.enable_http_proxy': 0,
    'grpc.ssl_target_name_override': 'localhost',
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
  });
  clients.push(client);
  return client;
}

interface Outcome {
  readonly head: Metadata | null;
  readonly messages: readonly Buffer[];
  readonly end: StatusObject;
}

interface Ended {
  on(event: 'metadata', listener: (metadata: Metadata) => void): unknown;
  on(event: 'status', listener: (end: StatusObject) => void): unknown;
}

function statusOf(call: Ended): Promise<Omit<Outcome, 'messages'>> {
  let head: Metadata | null = null;
  call.on('metadata', (metadata) => (head = metadata));
  const ended = new Promise<Omit<Outcome, 'messages'>>((resolve) => {
    call.on('status', (end) => resolve({ head, end }));
  });
  return within(ended, LONG_MS, 'the status of a call');
}

/** Of a call with one answer. The callback's message comes before the status. */
class One {
  message: Buffer | undefined;
  readonly told = (_error: unknown, message?: Buffer): void => {
    this.message = message;
  };

  async outcome(call: Ended): Promise<Outcome> {
    const ended = await statusOf(call);
    return { ...ended, messages: this.message === undefined ? [] : [this.message] };
  }
}

async function outcomeOf(call: ClientReadableStream<Buffer>): Promise<Outcome> {
  const messages: Buffer[] = [];
  call.on('error', () => {});
  call.on('data', (message: Buffer) => messages.push(message));
  const over = new Promise((resolve) => call.on('end', resolve));
  const ended = await statusOf(call);
  await within(over, LONG_MS, 'the end of a call');
  return { ...ended, messages };
}

function shown(messages: readonly Buffer[]): string[] {
  return messages.map((message) => message.toString('latin1'));
}

function numbered(count: number): Buffer[] {
  return Array.from({ length: count }, (_, index) => Buffer.from(`message ${index}`));
}

describe.runIf(hasTool('openssl')).each([
  ['in the clear', 'plain', false],
  ['over TLS', 'tls', true],
])('gRPC %s', (_name, pool, isTls) => {
  let client: Client;
  beforeAll(() => {
    client = connect(isTls);
  });

  function unary(
    name: Name,
    message: Buffer,
    { metadata = new Metadata(), deadline = Number.POSITIVE_INFINITY, by = client } = {},
  ) {
    const one = new One();
    const path = `/${pool}/${name}`;
    const call = by.makeUnaryRequest(path, asIs, asIs, message, metadata, { deadline }, one.told);
    return { call, outcome: one.outcome(call) };
  }

  function serverStream(name: Name, message: Buffer, deadline = Number.POSITIVE_INFINITY) {
    const path = `/${pool}/${name}`;
    return client.makeServerStreamRequest(path, asIs, asIs, message, { deadline });
  }

  function clientStream() {
    const one = new One();
    const call = client.makeClientStreamRequest(`/${pool}/collect`, asIs, asIs, one.told);
    return { call, outcome: one.outcome(call) };
  }

  function chat(name = 'some chat') {
    const metadata = new Metadata();
    metadata.add('x-name', name);
    return client.makeBidiStreamRequest(`/${pool}/chat`, asIs, asIs, metadata);
  }

  test('unary: the message, the metadata of both sides, the trailers', async () => {
    const metadata = new Metadata();
    const values = [randomBytes(40), randomBytes(3)];
    for (const value of values) metadata.add('x-asked-bin', value);
    const { head, messages, end } = await unary('echo', Buffer.from('hello'), { metadata }).outcome;
    expect([end.code, end.details, shown(messages)]).toEqual([status.OK, 'OK', ['hello']]);
    expect(head?.get('x-asked-bin')).toEqual(values);
    expect(end.metadata.get('x-after')).toEqual(['5 bytes']);
  });

  test('unary: an empty message is one', async () => {
    const { messages, end } = await unary('echo', Buffer.alloc(0)).outcome;
    expect([end.code, messages.map(({ length }) => length)]).toEqual([status.OK, [0]]);
  });

  test('an error keeps its code, its words and its metadata', async () => {
    const why = randomBytes(100);
    const { messages, end } = await unary('refuse', why).outcome;
    expect([end.code, end.details]).toEqual([status.NOT_FOUND, 'no “café” here: 100%']);
    expect(end.metadata.get('x-why-bin')).toEqual([why]);
    expect(messages).toEqual([]);
  });

  test('a method that the server does not have', async () => {
    const one = new One();
    const call = client.makeUnaryRequest(`/${pool}/none`, asIs, asIs, Buffer.from('a'), one.told);
    expect((await one.outcome(call)).end.code).toBe(status.UNIMPLEMENTED);
  });

  test('client streaming', async () => {
    const { call, outcome } = clientStream();
    const parts = numbered(300);
    for (const part of parts) call.write(part);
    call.end();
    const { messages, end } = await outcome;
    expect([end.code, shown(messages)]).toEqual([status.OK, [Buffer.concat(parts).toString()]]);
  });

  test('server streaming: every message, in order', async () => {
    const asked = randomBytes(300);
    const { messages, end } = await outcomeOf(serverStream('split', asked));
    const expected = [...asked].map((byte) => Buffer.alloc(byte * 100, byte));
    expect([end.code, messages.length]).toEqual([status.OK, expected.length]);
    expect(Buffer.concat(messages).equals(Buffer.concat(expected))).toBe(true);
  });

  test('bidirectional: each message is answered before the next one is sent', async () => {
    const call = chat();
    const outcome = outcomeOf(call);
    const parts = numbered(50);
    for (const part of parts) {
      const answered = new Promise((resolve) => call.once('data', resolve));
      call.write(part);
      await within(answered, LONG_MS, `the answer to ${part}`);
    }
    call.end();
    const { messages, end } = await outcome;
    expect([end.code, shown(messages)]).toEqual([status.OK, shown(parts)]);
  });

  test('bidirectional: a stream that fails in its middle says how, behind its messages', async () => {
    const call = chat();
    call.write(Buffer.from('hello'));
    // The client drops messages that it has not yet given away when it hears of an error.
    call.once('data', () => call.write(Buffer.from('fail')));
    const { messages, end } = await outcomeOf(call);
    expect([shown(messages), end.code, end.details]).toEqual([
      ['hello'],
      status.ABORTED,
      'as asked',
    ]);
  });

  test('messages of 4 MiB both ways', async () => {
    const big = randomBytes(4 * MIB);
    const one = await unary('echo', big).outcome;
    expect([one.end.code, one.messages.map((message) => message.equals(big))]).toEqual([
      status.OK,
      [true],
    ]);
    const call = chat();
    const outcome = outcomeOf(call);
    for (let index = 0; index < 3; index++) call.write(big);
    call.end();
    const many = await outcome;
    expect([many.end.code, many.messages.map((message) => message.equals(big))]).toEqual([
      status.OK,
      [true, true, true],
    ]);
  });

  /** On a busy machine a call may not have come to the server when its time is over: then one with more of it has. */
  async function untilLate(call: (name: string, deadline: number) => Promise<Outcome>) {
    for (const ms of [400, 2_000, 8_000]) {
      const name = `${pool} ${ms} ${arrived.length}`;
      const { end, messages } = await call(name, Date.now() + ms);
      if (!arrived.includes(name) && end.code === status.DEADLINE_EXCEEDED) continue;
      await waitFor(() => cancelled.includes(name), LONG_MS, 'the end at the server');
      return { code: end.code, isWhole: shown(messages).every((message) => message === name) };
    }
    throw new Error('No call has reached the server within its deadline');
  }

  test('a deadline ends a call that waits for its answer, at both ends', async () => {
    const { code } = await untilLate((name, deadline) => {
      return unary('silent', Buffer.from(name), { deadline }).outcome;
    });
    expect(code).toBe(status.DEADLINE_EXCEEDED);
  });

  test('a deadline ends a stream that has begun, behind what has come', async () => {
    const late = await untilLate((name, deadline) => {
      return outcomeOf(serverStream('endless', Buffer.from(name), deadline));
    });
    expect(late).toEqual({ code: status.DEADLINE_EXCEEDED, isWhole: true });
  });

  test('a deadline that is met changes nothing', async () => {
    const deadline = Date.now() + 60_000;
    const { end } = await unary('echo', Buffer.from('soon'), { deadline }).outcome;
    expect([end.code, end.details]).toEqual([status.OK, 'OK']);
  });

  test('a call that is cancelled is cancelled at the server: before its answer, and in its middle', async () => {
    const silent = unary('silent', Buffer.from(`${pool} before`));
    await waitFor(() => arrived.includes(`${pool} before`));
    silent.call.cancel();
    expect((await silent.outcome).end.code).toBe(status.CANCELLED);
    await waitFor(() => cancelled.includes(`${pool} before`));

    const endless = serverStream('endless', Buffer.from(`${pool} amid`));
    endless.once('data', () => endless.cancel());
    const { end, messages } = await outcomeOf(endless);
    expect([end.code, shown(messages)]).toEqual([status.CANCELLED, [`${pool} amid`]]);
    await waitFor(() => cancelled.includes(`${pool} amid`));

    const both = chat(`${pool} both`);
    both.once('data', () => both.cancel());
    both.write(Buffer.from('hello'));
    expect((await outcomeOf(both)).end.code).toBe(status.CANCELLED);
    await waitFor(() => cancelled.includes(`${pool} both`));
  });

  test(`${AT_ONCE} calls, all at the server at once`, async () => {
    // As many streams on each connection as it may have by default.
    const by = [client, connect(isTls)];
    const asked = Array.from({ length: AT_ONCE }, (_, index) =>
      Buffer.concat([Buffer.from(`${index} `), randomBytes(index * 50)]),
    );
    const outcomes = await Promise.all(
      asked.map((message, index) => unary('meet', message, { by: by[index % 2] }).outcome),
    );
    expect(outcomes.map(({ end }) => end.code)).toEqual(Array(AT_ONCE).fill(status.OK));
    expect(shown(outcomes.flatMap(({ messages }) => messages))).toEqual(shown(asked));
    await waitFor(async () => (await inFlight(front)) === 0);
  });

  test(`${AT_ONCE} calls of all kinds at once`, async () => {
    const message = randomBytes(20);
    const kinds = [
      () => unary('echo', message).outcome,
      () => {
        const { call, outcome } = clientStream();
        for (const byte of message) call.write(Buffer.of(byte));
        call.end();
        return outcome;
      },
      () => outcomeOf(serverStream('split', Buffer.from([1, 2, 3]))),
      () => {
        const call = chat();
        call.write(message);
        call.end();
        return outcomeOf(call);
      },
    ];
    const outcomes = await Promise.all(
      Array.from({ length: AT_ONCE }, (_, index) => kinds[index % kinds.length]?.()),
    );
    const parts = shown([1, 2, 3].map((byte) => Buffer.alloc(byte * 100, byte)));
    const [whole] = shown([message]);
    expect(outcomes.map((one) => [one?.end.code, shown(one?.messages ?? [])])).toEqual(
      outcomes.map((_one, index) => [status.OK, index % 4 === 2 ? parts : [whole]]),
    );
  });
});

describe.runIf(hasTool('openssl'))('at the end', () => {
  afterAll(closeClients);

  test('nothing is left, and nobody has broken a rule', async () => {
    closeClients();
    expect(await untilNothingIsLeft(front)).toEqual([]);
  });
});
