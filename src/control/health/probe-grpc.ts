/**
 * A health check of gRPC over a connection that is open: the call `Check` of `grpc.health.v1.Health`
 * (https://github.com/grpc/grpc/blob/master/doc/health-checking.md). Its two messages are so small that they are read and
 * written here.
 */
import type { IncomingHttpHeaders } from 'node:http2';
import type net from 'node:net';
import { GRPC_STATUSES } from '../../grpc-status.ts';
import type { ProbeRequest } from './check-request.ts';
import { requestInHttp2 } from './probe-http2.ts';

const PATH = '/grpc.health.v1.Health/Check';
const FIELDS = { accept: undefined, 'content-type': 'application/grpc', te: 'trailers' };
/** Of the answer; a good one has seven. */
const MOST_BYTES = 4 * 1024;
/** Of what the server says, in words of ours. */
const MOST_SAID = 200;
/** Compressed or not, and the length. */
const PREFIX_BYTES = 5;

/** `ServingStatus` of HealthCheckResponse. */
const SERVING = 1;
const SERVING_STATUSES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

export interface GrpcHealthListener {
  /** @param came in words. @param status of HTTP, where that was not 200 */
  onHealth(isServing: boolean, came: string, status?: number): void;
  onAnswerFailed(error: Error): void;
}

/** Ends with its connection. */
export function askHealth(
  request: ProbeRequest,
  socket: net.Socket,
  listener: GrpcHealthListener,
): void {
  const stream = requestInHttp2(request, socket, listener, 'POST', PATH, FIELDS);
  const answer = new Answer();
  stream.on('response', (fields) => answer.headCame(fields));
  stream.on('trailers', (fields) => answer.trailersCame(fields));
  stream.on('data', (bytes: Buffer) => {
    if (!answer.receive(bytes)) listener.onHealth(false, 'an answer that is too long');
  });
  // Behind the trailers, if there are any.
  stream.on('close', () => {
    listener.onHealth(answer.isServing, answer.describe(), answer.otherStatus);
  });
  stream.end(checkMessage(request.service));
}

class Answer {
  /** Of HTTP; 0 before the head. */
  status = 0;
  #grpcStatus: unknown;
  #grpcMessage: unknown;
  #isGrpc = false;
  #body = Buffer.alloc(0);

  get otherStatus(): number | undefined {
    return this.status === 200 || this.status === 0 ? undefined : this.status;
  }

  headCame(fields: IncomingHttpHeaders): void {
    this.status = Number(fields[':status']);
    this.#isGrpc = String(fields['content-type'] ?? '').startsWith('application/grpc');
    this.trailersCame(fields);
  }

  trailersCame(fields: IncomingHttpHeaders): void {
    this.#grpcStatus ??= fields['grpc-status'];
    this.#grpcMessage ??= fields['grpc-message'];
  }

  /** @returns false: that is too much. */
  receive(bytes: Buffer): boolean {
    this.#body = Buffer.concat([this.#body, bytes]);
    return this.#body.length <= MOST_BYTES;
  }

  get isServing(): boolean {
    return this.#isOk && servingStatus(this.#body) === SERVING;
  }

  get #isOk(): boolean {
    return this.status === 200 && this.#isGrpc && this.#grpcStatus === '0';
  }

  describe(): string {
    // With CANCEL or NO_ERROR, which are no error here.
    if (this.status === 0) return 'a call that was reset';
    if (this.status !== 200) return `status ${this.status} of HTTP`;
    if (!this.#isGrpc) return 'no answer of gRPC';
    if (this.#grpcStatus === undefined) return 'an answer without a grpc-status';
    if (!this.#isOk) {
      const name = GRPC_STATUSES[Number(this.#grpcStatus)] ?? '';
      const message = typeof this.#grpcMessage === 'string' ? this.#grpcMessage : '';
      const said = `grpc-status ${cut(String(this.#grpcStatus))} ${name}`.trimEnd();
      return `${said} ${JSON.stringify(cut(message))}`;
    }
    const serving = servingStatus(this.#body);
    if (serving === undefined) return 'a message that is no HealthCheckResponse';
    return SERVING_STATUSES[serving] ?? `a serving status of ${serving}`;
  }
}

function cut(text: string): string {
  return text.length <= MOST_SAID ? text : `${text.slice(0, MOST_SAID)}…`;
}

// ── The messages, in protobuf (https://protobuf.dev/programming-guides/encoding/) ───────────────────────────────────────

const WIRE_VARINT = 0;
const WIRE_64_BIT = 1;
const WIRE_BYTES = 2;
const WIRE_32_BIT = 5;

/** HealthCheckRequest { string service = 1; } as gRPC frames it. */
export function checkMessage(service: string): Buffer {
  const name = Buffer.from(service, 'utf8');
  const field =
    name.length === 0 ? [] : [Buffer.from([(1 << 3) | WIRE_BYTES, ...varint(name.length)]), name];
  const message = Buffer.concat(field);
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

/** Of HealthCheckResponse { ServingStatus status = 1; }, framed; undefined: it is something else. */
export function servingStatus(body: Buffer): number | undefined {
  if (body.length < PREFIX_BYTES || body[0] !== 0) return undefined;
  if (body.readUInt32BE(1) !== body.length - PREFIX_BYTES) return undefined;
  const reader = new MessageReader(body.subarray(PREFIX_BYTES));
  let status = 0;
  while (!reader.isAtEnd) {
    const tag = reader.varint();
    const wire = tag & 7;
    if (tag >>> 3 === 1 && wire === WIRE_VARINT) status = reader.varint();
    else reader.skip(wire);
    if (reader.isBroken) return undefined;
  }
  return status;
}

class MessageReader {
  isBroken = false;
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** What is above 32 bits is lost: nothing here is as large. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) break;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    this.isBroken = true;
    return 0;
  }

  /** A field that is none of ours. */
  skip(wire: number): void {
    let length = 0;
    if (wire === WIRE_VARINT) this.varint();
    else if (wire === WIRE_64_BIT) length = 8;
    else if (wire === WIRE_32_BIT) length = 4;
    else if (wire === WIRE_BYTES) length = this.varint();
    else this.isBroken = true;
    this.#at += length;
    if (this.#at > this.#bytes.length) this.isBroken = true;
  }
}
