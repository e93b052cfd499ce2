/** A backend as data threads have it, in this process: for what no request from outside can tell apart. */
import { Backend } from '../../src/data/backend/backend.ts';
import type { BackendStream, BackendStreamUser } from '../../src/data/backend/backend-stream.ts';
import { Descriptors } from '../../src/data/descriptors.ts';
import type { ClientTerms } from '../../src/data/stream/client-terms.ts';
import { ThreadIo } from '../../src/data/stream/thread-io.ts';
import { createBackendCounters, readBackendCounters } from '../../src/snapshot/counters.ts';
import { afterTest } from './after-test.ts';

const HEAD_LIMITS = { requestLineBytes: 1024, headBytes: 8192, fields: 100, isLenient: false };

const NO_BARRIER = {
  crashed(_where: string, error: unknown): never {
    throw error;
  },
};
const NO_PARSERS = {
  borrowResponseParser: (): never => {
    throw new Error('nothing was asked');
  },
  returnResponseParser(): void {},
};

/** Whoever waits for a connection. */
export class WaitingUser implements BackendStreamUser {
  isConnected = false;
  failure = '';
  /** What it was given in place of what it has waited for. */
  moved: BackendStream | null = null;

  onMoved(stream: BackendStream): void {
    this.moved = stream;
  }
  onConnected(): void {
    this.isConnected = true;
  }
  onConnectFailed(code: string): void {
    this.failure = code;
  }
  onHead(): void {}
  onBody(): void {}
  onFlush(): void {}
  onEnd(): void {}
  onSwitched(): void {}
  onFailed(): void {}
  onRoom(): void {}
  onCutOff(): void {}

  onCrashed(error: unknown): void {
    throw error;
  }
}

export interface LiveBackends {
  /** The same backend, in each thread. */
  readonly threads: readonly [Backend, Backend];
  readonly open: () => number;
  readonly idle: () => number;
}

/** In two threads. @param terms over TLS, if there are any; else by prior knowledge, or HTTP/1.1 */
export function liveBackends(port: number, tls = false, terms?: ClientTerms): LiveBackends {
  const counters = createBackendCounters(2);
  const spec = {
    id: 0,
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    tls,
    host: '127.0.0.1',
    port,
    authority: `127.0.0.1:${port}`,
    socketPath: '',
    basePath: '',
    weight: 1,
    sessionToken: '',
    otherTokens: [],
    counters,
  };
  const thread = (threadIndex: number): Backend => {
    const parts = {
      threadIndex,
      threadCount: 2,
      io: new ThreadIo(),
      parsers: NO_PARSERS,
      barrier: NO_BARRIER,
      descriptors: new Descriptors(),
    };
    return new Backend(spec, HEAD_LIMITS, parts, terms);
  };
  const threads = [thread(0), thread(1)] as const;
  afterTest(() => {
    for (const backend of threads) {
      backend.cutOff();
      backend.closeIdle();
    }
  });
  return {
    threads,
    open: () => readBackendCounters(counters, 2).openConnections,
    idle: () => readBackendCounters(counters, 2).idleConnections,
  };
}
