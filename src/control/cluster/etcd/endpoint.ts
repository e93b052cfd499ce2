/**
 * One member of etcd, spoken to over HTTP. Reads and writes have connections of their own, so that neither waits for the other, and
 * a connection that was silent up to a deadline is thrown away with those that wait beside it: after a partition has healed, an old
 * one sits in the back-off of TCP for long.
 */
import { type ClientRequest, Agent as HttpAgent, request } from 'node:http';
import { Agent as HttpsAgent, request as requestTls } from 'node:https';
import { type SecureContextOptions, TLSSocket } from 'node:tls';

/** A listing comes in pages: nothing of ours is near it. */
const MOST_ANSWER_BYTES = 64 * 1024 * 1024;

/** Texts in PEM. */
export interface EtcdTls {
  readonly ca?: string;
  /** Without a common name: a gateway whose etcd has users refuses those that have one. */
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** No answer came. */
export class NoAnswer extends Error {
  /** False: the member certainly did nothing of it. */
  readonly mayBeDone: boolean;

  constructor(message: string, mayBeDone: boolean) {
    super(message);
    this.name = 'NoAnswer';
    this.mayBeDone = mayBeDone;
  }
}

export class Endpoint {
  readonly url: string;
  readonly #tls: SecureContextOptions & { servername?: string };
  readonly #isTls: boolean;
  readonly #agents: { readonly read: HttpAgent; readonly write: HttpAgent };

  /** @param url `http://` or `https://`, host and port. */
  constructor(url: string, tls: EtcdTls = {}) {
    this.url = url;
    this.#isTls = url.startsWith('https:');
    const { serverName, ...files } = tls;
    this.#tls = { ...files, ...(serverName !== undefined && { servername: serverName }) };
    this.#agents = { read: this.#newAgent(), write: this.#newAgent() };
  }

  /** @throws NoAnswer */
  call(
    use: 'read' | 'write',
    path: string,
    body: object,
    headers: Readonly<Record<string, string>>,
    deadlineMs: number,
  ): Promise<Answer> {
    const agent = this.#agents[use];
    return new Promise((resolve, reject) => {
      const asked = this.#ask(path, body, headers, agent);
      let mayBeDone = false;
      const fail = (reason: string): void => {
        clearTimeout(timer);
        asked.destroy();
        reject(new NoAnswer(`${this.url}: ${reason}`, mayBeDone));
      };
      const timer = setTimeout(() => {
        throwAwayIdle(agent);
        fail(`no answer within ${Math.round(deadlineMs)} ms`);
      }, deadlineMs);
      whenConnected(asked, () => {
        mayBeDone = true;
      });
      asked.on('error', (error) => fail(reasonOf(error)));
      asked.on('response', (response) => {
        const parts: Buffer[] = [];
        let length = 0;
        response.on('data', (part: Buffer) => {
          length += part.length;
          if (length > MOST_ANSWER_BYTES) fail(`an answer of more than ${MOST_ANSWER_BYTES} bytes`);
          else parts.push(part);
        });
        response.on('error', (error) => fail(reasonOf(error)));
        response.on('end', () => {
          clearTimeout(timer);
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString() });
        });
      });
    });
  }

  /** On a connection of its own, for an answer that does not end. */
  stream(path: string, body: object, headers: Readonly<Record<string, string>>): ClientRequest {
    return this.#ask(path, body, headers, false);
  }

  close(): void {
    this.#agents.read.destroy();
    this.#agents.write.destroy();
  }

  #ask(
    path: string,
    body: object,
    headers: Readonly<Record<string, string>>,
    agent: HttpAgent | false,
  ): ClientRequest {
    const text = JSON.stringify(body);
    const length = String(Buffer.byteLength(text));
    const options = {
      method: 'POST',
      agent,
      headers: { 'Content-Type': 'application/json', 'Content-Length': length, ...headers },
    };
    const url = new URL(path, this.url);
    const asked = this.#isTls
      ? requestTls(url, { ...this.#tls, ...options })
      : request(url, options);
    asked.end(text);
    return asked;
  }

  #newAgent(): HttpAgent {
    const options = { keepAlive: true, maxFreeSockets: 4 };
    return this.#isTls ? new HttpsAgent({ ...options, ...this.#tls }) : new HttpAgent(options);
  }
}

/** Those in use have deadlines of their own. */
function throwAwayIdle(agent: HttpAgent): void {
  for (const sockets of Object.values(agent.freeSockets)) {
    for (const socket of sockets ?? []) socket.destroy();
  }
}

/** What is written before that waits in this process. */
function whenConnected(asked: ClientRequest, connected: () => void): void {
  asked.on('socket', (socket) => {
    if (asked.reusedSocket) connected();
    else socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', connected);
  });
}

/** An address with several answers fails with an error that has no message of its own. */
export function reasonOf(error: Error): string {
  if (error.message !== '') return error.message;
  return (error as NodeJS.ErrnoException).code ?? error.name;
}
