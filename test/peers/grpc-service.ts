/** A server of @grpc/grpc-js for all kinds of calls; messages are bytes, without a schema. */
import {
  Metadata,
  type MethodDefinition,
  Server,
  type ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { afterTest } from '../support/after-test.ts';

export const AT_ONCE = 200;

export const asIs = (bytes: Buffer): Buffer => bytes;

function method(
  path: string,
  requestStream: boolean,
  responseStream: boolean,
): MethodDefinition<Buffer, Buffer> {
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
}

/** Of calls that do not end by themselves, by the name that their message is, or that is in their metadata. */
export const arrived: string[] = [];
export const cancelled: string[] = [];
/** Calls that wait until there are `AT_ONCE` of them. */
const together: (() => void)[] = [];

interface Cancellable {
  readonly cancelled: boolean;
  on(event: 'cancelled', listener: () => void): unknown;
}

function isHeld(call: Cancellable, name: Buffer | string): void {
  arrived.push(String(name));
  // On a busy machine it may have been cancelled before it is here.
  if (call.cancelled) cancelled.push(String(name));
  else call.on('cancelled', () => cancelled.push(String(name)));
}

const IMPLEMENTATION = {
  echo(call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>): void {
    const head = new Metadata();
    for (const value of call.metadata.get('x-asked-bin')) head.add('x-asked-bin', value);
    call.sendMetadata(head);
    const trailers = new Metadata();
    trailers.add('x-after', `${call.request.length} bytes`);
    answer(null, call.request, trailers);
  },
  refuse(call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>): void {
    const metadata = new Metadata();
    metadata.add('x-why-bin', call.request);
    answer({ code: status.NOT_FOUND, details: 'no “café” here: 100%', metadata });
  },
  meet(call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>): void {
    together.push(() => answer(null, call.request));
    if (together.length === AT_ONCE) for (const go of together.splice(0)) go();
  },
  silent(call: ServerUnaryCall<Buffer, Buffer>): void {
    isHeld(call, call.request);
  },
  collect(call: ServerReadableStream<Buffer, Buffer>, answer: sendUnaryData<Buffer>): void {
    const parts: Buffer[] = [];
    call.on('data', (part: Buffer) => parts.push(part));
    call.on('end', () => answer(null, Buffer.concat(parts)));
  },
  /** A message for each byte of the one that has come. */
  split(call: ServerWritableStream<Buffer, Buffer>): void {
    for (const byte of call.request) call.write(Buffer.alloc(byte * 100, byte));
    call.end();
  },
  endless(call: ServerWritableStream<Buffer, Buffer>): void {
    isHeld(call, call.request);
    call.write(call.request);
  },
  chat(call: ServerDuplexStream<Buffer, Buffer>): void {
    isHeld(call, String(call.metadata.get('x-name')[0]));
    call.on('data', (part: Buffer) => {
      if (String(part) === 'fail')
        call.emit('error', { code: status.ABORTED, details: 'as asked' });
      else call.write(part);
    });
    call.on('end', () => call.end());
  },
};

export type Name = keyof typeof IMPLEMENTATION;
/** Which of them have many requests, and many answers. */
const STREAMS: Record<Name, readonly [boolean, boolean]> = {
  echo: [false, false],
  refuse: [false, false],
  meet: [false, false],
  silent: [false, false],
  collect: [true, false],
  split: [false, true],
  endless: [false, true],
  chat: [true, true],
};

function serviceOf(pool: string) {
  const methods = Object.entries(STREAMS).map(([name, streams]) => [
    name,
    method(`/${pool}/${name}`, ...streams),
  ]);
  return Object.fromEntries(methods) as Record<Name, MethodDefinition<Buffer, Buffer>>;
}

/** Its port. */
export async function startServer(pool: string, secrets: ServerCredentials): Promise<number> {
  const server = new Server();
  server.addService(serviceOf(pool), IMPLEMENTATION);
  afterTest(() => server.forceShutdown());
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', secrets, (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
}
