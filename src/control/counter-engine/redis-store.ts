/**
 * Counting on Redis or Valkey, by the package `ioredis`. Nothing waits here for a connection: without one a call fails at once, and
 * one that gets no answer fails after `CALL_MS`. What was sent and not answered is never sent again.
 */
import { createHash } from 'node:crypto';
import type { RedisSettings } from '../../config/redis-settings.ts';
import type { Claim, CounterStore, Take, Taken } from './counter-store.ts';
import { GCRA_SCRIPT, GCRA_SHA } from './gcra-script.ts';
import { SESSION_SCRIPT, SESSION_SHA } from './session-script.ts';

/** Of the package: what is used of it. */
export interface RedisModule {
  readonly Redis: new (options: Readonly<Record<string, unknown>>) => RedisClient;
}

type Values = readonly (number | string)[];

interface RedisClient {
  connect(): Promise<void>;
  disconnect(): void;
  evalsha(sha: string, keys: 1, key: string, ...values: Values): Promise<unknown>;
  eval(script: string, keys: 1, key: string, ...values: Values): Promise<unknown>;
  on(event: 'ready', listener: () => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

export interface RedisStoreEvents {
  /** There is a connection. */
  readonly onReady: () => void;
  /** Of the connection. */
  readonly onError: (reason: string) => void;
}

/** Less than a request waits: most of these know by then that there is no answer. */
const CALL_MS = 20;
const CONNECT_MS = 1000;
/** Nothing has come on a connection where an answer is due: it is taken for dead. */
const SILENT_MS = 3000;
const FIRST_RETRY_MS = 50;
/** An instance that is back counts with the engine, while those that are not yet allow their parts beside it: so it is not to be long. */
const LAST_RETRY_MS = 200;
const US = 1000;

export class CallTimeout extends Error {}

export class RedisStore implements CounterStore {
  readonly #redis: RedisClient;
  readonly #prefix: string;
  /** Of the connection, since there was one last. */
  #fault: string | null = null;

  constructor({ Redis }: RedisModule, settings: RedisSettings, events: RedisStoreEvents) {
    this.#prefix = settings.prefix;
    this.#redis = new Redis({
      ...addressOf(settings),
      lazyConnect: true,
      connectionName: 'fairlead',
      // What users of older servers may not be allowed to say.
      disableClientInfo: true,
      connectTimeout: CONNECT_MS,
      socketTimeout: SILENT_MS,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (times: number) =>
        Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(times, 8)) *
        (0.5 + Math.random() / 2),
    });
    this.#redis.on('ready', () => {
      this.#fault = null;
      events.onReady();
    });
    // Without a listener it would write to the console.
    this.#redis.on('error', (error) => {
      this.#fault = reasonOf(error);
      events.onError(this.#fault);
    });
    // Why not has been told by then.
    this.#redis.connect().catch(() => {});
  }

  async take({ owner, key, limit, want, debtMs }: Take): Promise<Taken> {
    const { rate, perMs, burst } = limit;
    const name = this.#nameOf(owner, key, limit);
    const values = [perMs * US, rate, burst, want, Math.round(debtMs * US)] as const;
    const sentAtMs = performance.now();
    const reply = await this.#run(GCRA_SHA, GCRA_SCRIPT, name, values);
    return takenOf(reply, performance.now() - sentAtMs);
  }

  async claim({ owner, key, value, instead, ttlMs, firstTtlMs }: Claim): Promise<string> {
    const name = `${this.#prefix}st:{${digestOf(owner, key)}}`;
    const values = [value, instead, Math.ceil(ttlMs), Math.ceil(firstTtlMs)] as const;
    const reply = await this.#run(SESSION_SHA, SESSION_SCRIPT, name, values);
    if (typeof reply !== 'string') throw noAnswer(reply);
    return reply;
  }

  async #run(sha: string, script: string, name: string, values: Values): Promise<unknown> {
    try {
      return await withinMs(CALL_MS, this.#redis.evalsha(sha, 1, name, ...values));
    } catch (error) {
      // It does not know the script: it has restarted, or its scripts were flushed.
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) {
        throw this.#meaning(error);
      }
      return withinMs(CALL_MS, this.#redis.eval(script, 1, name, ...values)).catch(
        (again: unknown) => {
          throw this.#meaning(again);
        },
      );
    }
  }

  /** Where there is no connection the package speaks of its own queues and options. */
  #meaning(error: unknown): unknown {
    const isOfServer = error instanceof Error && error.name === 'ReplyError';
    if (isOfServer || error instanceof CallTimeout) return error;
    return new Error(this.#fault ?? 'the connection has ended', { cause: error });
  }

  close(): void {
    this.#redis.disconnect();
  }

  /** A limit that has changed begins anew. */
  #nameOf(owner: string, key: string, { rate, perMs, burst }: Take['limit']): string {
    return `${this.#prefix}rl:{${digestOf(owner, key)}}:${rate}/${perMs}/${burst}`;
  }
}

/** A client may be known by what nobody else should read, or by something long. */
function digestOf(owner: string, key: string): string {
  return createHash('sha256').update(`${owner}\0${key}`).digest('base64url').slice(0, 22);
}

function addressOf({ url, username, password, tls }: RedisSettings): Record<string, unknown> {
  const { protocol, hostname, port, pathname } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  return {
    host,
    port: port === '' ? 6379 : Number(port),
    db: pathname.length > 1 ? Number(pathname.slice(1)) : 0,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(protocol === 'rediss:' && { tls: { servername: host, ...tls } }),
  };
}

/** @param ageMs of the answer, at most. */
function takenOf(reply: unknown, ageMs: number): Taken {
  const [granted, wait, debt] = Array.isArray(reply) ? reply.map(Number) : [];
  if (granted === undefined || wait === undefined || debt === undefined) {
    throw noAnswer(reply);
  }
  return { granted, waitMs: wait / US, debtMs: Math.max(0, debt / US - ageMs) };
}

/** A name with several addresses has an error for each, and none of its own. */
function reasonOf(error: Error): string {
  const all: readonly Error[] = error instanceof AggregateError ? error.errors : [];
  return error.message || all.map(({ message }) => message).join(', ');
}

function noAnswer(reply: unknown): Error {
  return new Error(`an answer that is none: ${JSON.stringify(reply)}`);
}

/** Timers come before what sockets have: after this thread has stood still, an answer may lie there when its time is up. */
async function withinMs<T>(ms: number, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const giveUp = (): void => reject(new CallTimeout(`no answer within ${ms} ms`));
    timer = setTimeout(() => setImmediate(giveUp), ms);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
