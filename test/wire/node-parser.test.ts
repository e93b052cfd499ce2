/**
 * Whatever request is accepted here, node:http in its default, strict mode must read in the same way: method, target,
 * fields and body. Where it must not, the table of exceptions says why. Then the same for what would be sent on.
 */
import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ForwardContext, forwardRequest } from '../../src/data/wire/forward-request.ts';
import { BODY_CHUNKED, BODY_LENGTH } from '../../src/data/wire/framing.ts';
import { readRequest } from '../../src/data/wire/request.ts';
import { chunkedBody, mutated, requestHead } from './arbitrary.ts';
import { decodeChunks, getWith, held, latin1, parseHead, RULES } from './parse.ts';

/** A message as one reader understood it. */
interface Reading {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly string[];
  readonly body: string;
}

/**
 * Our reading of the complete request at the start of `input`, its bytes, and what would go to a backend; or why there
 * is none.
 */
function ours(input: Buffer): { reading: Reading; message: Buffer; sentOn: Buffer } | string {
  const parsed = parseHead('request', input);
  if (parsed.outcome !== 'done') return parsed.outcome;
  const head = held('request', input);
  const facts = readRequest(head, RULES);
  if (typeof facts === 'string') return facts;
  const rest = input.subarray(parsed.length);
  let body = '';
  let bodyLength = 0;
  if (facts.bodyKind === BODY_LENGTH) {
    if (rest.length < facts.contentLength) return 'more';
    bodyLength = facts.contentLength;
    body = rest.toString('latin1', 0, bodyLength);
  } else if (facts.bodyKind === BODY_CHUNKED) {
    const decoded = decodeChunks(rest);
    if (decoded.outcome !== 'done') return decoded.outcome;
    bodyLength = decoded.consumed;
    body = decoded.data;
  }
  const [method = '', target = ''] = parsed.line.split(' ');
  const context = new ForwardContext('127.0.0.1', 'http', false, {
    sendsXForwarded: true,
    sendsForwarded: true,
    viaName: 'fairlead-0',
    upgrades: [],
    rewritesLocation: false,
  });
  const { startLine, fields, needsHost } = forwardRequest(head, facts, context, 'id', {
    dropsHost: false,
    dropsAuthorization: false,
    hasOtherPath: false,
  });
  const isChunked = facts.bodyKind === BODY_CHUNKED;
  const host = needsHost ? `Host: ${facts.host ?? 'x'}\r\n` : '';
  const framing = isChunked ? `Content-Length: ${body.length}\r\n` : '';
  return {
    reading: { method, target, fields: parsed.fields.flat(), body },
    message: input.subarray(0, parsed.length + bodyLength),
    sentOn: latin1(`${startLine}${host}${fields}${framing}\r\n${body}`),
  };
}

/** node:http's reading of one request, or its refusal. */
class NodeReader {
  readonly #server = http.createServer({ keepAliveTimeout: 1 });
  /** By the port of the connection: what is late of one message is not what the next one waits for. */
  readonly #waiting = new Map<number | undefined, (reading: Reading | string) => void>();
  readonly #ports = new WeakMap<object, number | undefined>();

  constructor() {
    this.#server.on('connection', (socket) => this.#ports.set(socket, socket.remotePort));
    const read = async (request: http.IncomingMessage): Promise<void> => {
      const chunks: Buffer[] = [];
      try {
        for await (const chunk of request) chunks.push(chunk as Buffer);
      } catch {
        // 'clientError' tells why.
        return;
      }
      this.#resolve(request.socket, {
        method: request.method ?? '',
        target: request.url ?? '',
        fields: request.rawHeaders,
        body: Buffer.concat(chunks).toString('latin1'),
      });
      request.socket.destroy();
    };
    // Without these, node:http itself answers what it does not know.
    for (const event of ['request', 'checkContinue', 'checkExpectation'] as const) {
      this.#server.on(event, (request: http.IncomingMessage) => void read(request));
    }
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      this.#resolve(socket, error.code ?? error.message);
      socket.destroy();
    });
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #resolve(socket: object, reading: Reading | string): void {
    this.#waiting.get(this.#ports.get(socket))?.(reading);
  }

  async read(input: Buffer): Promise<Reading | string> {
    const { port } = this.#server.address() as AddressInfo;
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    const { localPort } = socket;
    const reading = new Promise<Reading | string>((resolve) => {
      this.#waiting.set(localPort, resolve);
      // A 400 that node:http writes by itself (no Host) has no event.
      socket.on('data', (data: Buffer) => resolve(data.toString('latin1').split('\r\n')[0] ?? ''));
    });
    // With FIN, what node:http still waits for is an error and no silence.
    socket.end(input);
    const result = await reading;
    this.#waiting.delete(localPort);
    socket.destroy();
    return result;
  }
}

const node = new NodeReader();
beforeAll(() => node.listen());
afterAll(() => node.close());

/** What node:http refuses and we accept, on purpose. Nothing else may differ. */
const EXCEPTIONS: readonly {
  readonly why: string;
  readonly covers: (reading: Reading, input: Buffer, refusal: string) => boolean;
}[] = [
  {
    why: 'any token is a method (RFC 9110 §9.1); node:http knows a list',
    covers: ({ method }, _input, refusal) =>
      !http.METHODS.includes(method) && refusal === 'HPE_INVALID_METHOD',
  },
  {
    why: 'extensions are dropped, not forwarded; node:http checks their grammar',
    covers: (_reading, input, refusal) =>
      /;[^\r]*\r\n/.test(input.toString('latin1')) && refusal === 'HPE_STRICT',
  },
  {
    why: 'framing fields in a trailer are dropped (RFC 9110 §6.5.1); node:http takes them for the framing of the body',
    covers: (_reading, input, refusal) =>
      /\r\n\r\n[^]*\r\n(content-length|transfer-encoding):/i.test(input.toString('latin1')) &&
      /^HPE_(INVALID|UNEXPECTED)_(CONTENT_LENGTH|TRANSFER_ENCODING)$/.test(refusal),
  },
  {
    why: 'HTTP/1.2 to 1.9 are taken for 1.1 (RFC 9110 §6.2); node:http knows none of them',
    covers: (_reading, input, refusal) =>
      /HTTP\/1\.[2-9]\r?\n|^HTTP\/1\.[2-9] /.test(input.toString('latin1')) &&
      refusal === 'HPE_INVALID_VERSION',
  },
  {
    why: 'a tab after a value is white space (RFC 9110 §5.6.3), also after "chunked"; the field is made anew',
    covers: (_reading, input, refusal) =>
      /:[ \t]*chunked *\t/i.test(input.toString('latin1')) &&
      refusal === 'HPE_INVALID_TRANSFER_ENCODING',
  },
];

function requireException(reading: Reading, message: Buffer, refusal: string): void {
  if (EXCEPTIONS.some(({ covers }) => covers(reading, message, refusal))) return;
  throw new Error(`node:http says ${refusal}: ${JSON.stringify(message.toString('latin1'))}`);
}

/** @returns whether both sides have read the message, with the same result. */
async function compare(input: Buffer): Promise<'accepted' | 'refused' | 'exception'> {
  const own = ours(input);
  if (typeof own === 'string') return 'refused';
  const { message } = own;
  const theirs = await node.read(message);
  if (typeof theirs === 'string') requireException(own.reading, message, theirs);
  // What differs is worth seeing with the bytes that caused it.
  expect([message, theirs]).toEqual([message, typeof theirs === 'string' ? theirs : own.reading]);
  const sentOn = await node.read(own.sentOn);
  if (typeof sentOn === 'string') {
    requireException(own.reading, own.sentOn, sentOn);
    return 'exception';
  }
  expect({ method: sentOn.method, body: sentOn.body }).toEqual({
    method: own.reading.method,
    body: own.reading.body,
  });
  return typeof theirs === 'string' ? 'exception' : 'accepted';
}

function post(fields: readonly string[], body: string): string {
  return `${['POST /p HTTP/1.1', 'Host: a', ...fields, '', ''].join('\r\n')}${body}`;
}

const CHUNKED = 'Transfer-Encoding: chunked';

describe('by hand', () => {
  test.each([
    getWith(),
    `\r\n${getWith()}`,
    'GET / HTTP/1.0\r\n\r\n',
    'GET http://b/x?y HTTP/1.1\r\nHost: a\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET //a/../%2e/%2f;"<>\\^`{|}? HTTP/1.1\r\nHost: a\r\n\r\n',
    getWith('A:', 'B: \t ', 'C:\t1 \t 2\t', 'D: \x80\xff', 'e: "\\"'),
    getWith('Set-Cookie: 1', 'Cookie: 1', 'cookie: 2', 'A: 1', 'a: 2', '__proto__: 1'),
    getWith('Connection: keep-alive, Upgrade', 'Upgrade: websocket'),
    getWith('Connection: close'),
    getWith('Expect: 100-continue', 'TE: trailers'),
    getWith('Content-Length: 0'),
    getWith('X_Forwarded_For: 1', 'X-Forwarded-For: 2'),
    getWith(CHUNKED) + '5\r\nhello\r\n0\r\n\r\n',
    post(['Content-Length: 5'], 'hello'),
    post(['Content-Length: 0005'], 'hello'),
    post(['Content-Length: \t5 '], 'hello'),
    post(['Content-Length: 5'], '\r\n\r\n\0'),
    post([CHUNKED], '0\r\n\r\n'),
    post([CHUNKED], 'A\r\n0123456789\r\n1;a=b\r\nx\r\n0\r\n\r\n'),
    post(['Transfer-Encoding:\tChunKED '], '05\r\nhello\r\n00\r\nA: 1\r\nb:2\r\n\r\n'),
    post([CHUNKED, 'Expect: 100-continue', 'Trailer: A'], '1\r\nx\r\n0\r\nA: 1\r\n\r\n'),
    'DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
    'HEAD / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n',
  ])('both accept %j', async (text) => {
    expect(await compare(latin1(text))).toBe('accepted');
  });

  test('both accept many fields and long ones', async () => {
    const fields = Array.from({ length: 98 }, (_, index) => `A${index}: 1`);
    expect(await compare(latin1(getWith(...fields)))).toBe('accepted');
    expect(await compare(latin1(getWith(`A: ${'a'.repeat(15_000)}`)))).toBe('accepted');
  });

  test.each([
    'BREW / HTTP/1.1\r\nHost: a\r\n\r\n',
    'get / HTTP/1.1\r\nHost: a\r\n\r\n',
    post([CHUNKED], '5;\r\nhello\r\n0\r\n\r\n'),
    post(['Transfer-Encoding: chunked\t'], '0\r\n\r\n'),
    post([CHUNKED], '1\r\nx\r\n0\r\nContent-Length: 1\r\n\r\n'),
    post([CHUNKED], '1\r\nx\r\n0\r\nTransfer-Encoding: identity\r\n\r\n'),
  ])('we accept, on purpose, %j', async (text) => {
    expect(await compare(latin1(text))).toBe('exception');
  });

  test.each([
    // What node:http itself accepts, or did in versions still in use, and others read differently.
    'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
    'GET / HTTP/1.1\r\nHost:\r\n\r\n',
    '\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET /# HTTP/1.1\r\nHost: a\r\n\r\n',
    getWith('A: 1\r\n B'),
    getWith('A : 1'),
    getWith('A: 1\n'),
    getWith('A'),
    getWith('A: \x01'),
    post(['Content-Length: 5', 'Content-Length: 5'], 'hello'),
    post(['Content-Length: 5, 5'], 'hello'),
    post(['Content-Length: +5'], 'hello'),
    post(['Content-Length: 5', CHUNKED], '0\r\n\r\n'),
    post(['Transfer-Encoding: gzip, chunked'], '0\r\n\r\n'),
    post(['Transfer-Encoding: chunked, identity'], '0\r\n\r\n'),
    post([CHUNKED, CHUNKED], '0\r\n\r\n'),
    post(['Transfer-Encoding: \x0bchunked'], '0\r\n\r\n'),
    post([CHUNKED], '5\nhello\r\n0\r\n\r\n'),
    post([CHUNKED], '5;a\nb\r\nhello\r\n0\r\n\r\n'),
    post([CHUNKED], '5 \r\nhello\r\n0\r\n\r\n'),
    post([CHUNKED], '0x5\r\nhello\r\n0\r\n\r\n'),
  ])('we refuse %j', async (text) => {
    expect(await compare(latin1(text))).toBe('refused');
  });
});

const RUNS = 1_000;
const accepted = { heads: 0, bodies: 0 };

const withBody = fc
  .tuple(fc.constantFrom('POST', 'GET', 'DELETE', 'PUT'), fc.boolean(), chunkedBody)
  .map(([method, isChunked, { text, payload }]) => ({
    text: isChunked
      ? `${method} / HTTP/1.1\r\nHost: a\r\n${CHUNKED}\r\n\r\n${text}`
      : `${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: ${payload.length}\r\n\r\n${payload}`,
  }));

/** Valid more often than not: a Host field is there, and nothing that frames a body. */
const goodHead = requestHead.map(({ text }) => {
  const lines = text.split('\r\n');
  const kept = lines.filter(
    (line, index) => index < 2 || !/^(host|content-length|transfer-encoding):/i.test(line),
  );
  const start = kept.findIndex((line) => line !== '');
  return { text: [...kept.slice(0, start + 1), 'Host: a', ...kept.slice(start + 1)].join('\r\n') };
});

test.each([
  ['heads', goodHead],
  ['heads', requestHead],
  ['bodies', withBody],
] as const)('generated %s, and the same with a few bytes changed', async (kind, messages) => {
  const inputs = fc.oneof(
    messages.map(({ text }) => latin1(text)),
    mutated(messages),
  );
  await fc.assert(
    fc.asyncProperty(inputs, async (input) => {
      if ((await compare(input)) === 'accepted') accepted[kind]++;
    }),
    { numRuns: RUNS, interruptAfterTimeLimit: 6_000, markInterruptAsFailure: false },
  );
  expect(accepted[kind]).toBeGreaterThan(20);
});
