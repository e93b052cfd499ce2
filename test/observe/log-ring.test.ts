import { describe, expect, it } from 'vitest';
import { AccessLog, type AccessLogEntry } from '../../src/data/relay/access-log.ts';
import { createLogRing, LOG_BLOCK_BYTES, LogRing } from '../../src/snapshot/log-ring.ts';
import type { FromDataThread } from '../../src/snapshot/messages.ts';
import { createProcessCounters } from '../../src/snapshot/process-cells.ts';
import { ProcessCounters } from '../../src/snapshot/process-counters.ts';
import { readProcessCounters } from '../../src/snapshot/process-totals.ts';

function entry(path: string): AccessLogEntry {
  return {
    clientAddress: '192.0.2.1',
    method: 'GET',
    host: 'example.org',
    path,
    protocol: 'HTTP/1.1',
    status: 200,
    grpcStatus: -1,
    ended: null,
    bytesIn: 1,
    bytesOut: 2,
    durationMs: 1.5,
    queueMs: -1,
    connectMs: -1,
    firstByteMs: 1,
    route: null,
    split: null,
    pool: 'default',
    backendUrl: null,
    attempts: [],
    requestId: 'id',
    error: null,
    errorDetail: '',
    userAgent: null,
    referer: null,
  };
}

function setUp() {
  const memory = createLogRing();
  const process = createProcessCounters(1);
  const messages: Extract<FromDataThread, { kind: 'access-log' }>[] = [];
  const log = new AccessLog(
    memory,
    (message) => {
      if (message.kind === 'access-log') messages.push(message);
    },
    new ProcessCounters(process, 0, 1),
  );
  return {
    log,
    messages,
    ring: new LogRing(memory),
    dropped: () => readProcessCounters(process, 1).logLinesDropped,
  };
}

describe('the log ring', () => {
  it.each(['clientAddress', 'requestId', 'pool'] as const)(
    'has room for a line whose %s is longer than any should be',
    (field) => {
      const { log, messages, ring } = setUp();
      const text = 'x'.repeat(25_000);
      for (let count = 0; count < 8; count++) log.record({ ...entry('/'), [field]: text }, 'json');
      log.flush();
      const lines = messages.map(({ block, length }) => ring.bytes(block, length).toString());
      expect(lines.join('').split(text).length - 1).toBe(8);
      expect(lines.every((block) => block.endsWith('}\n'))).toBe(true);
    },
  );

  it('leaves out a line that no block can hold, and the next one is whole', () => {
    const { log, messages, ring, dropped } = setUp();
    log.record({ ...entry('/'), clientAddress: 'x'.repeat(LOG_BLOCK_BYTES) }, 'json');
    log.record(entry('/next'), 'json');
    log.flush();
    expect(dropped()).toBe(1);
    const [message] = messages;
    const text = ring.bytes(message?.block ?? -1, message?.length ?? 0).toString();
    expect(JSON.parse(text)).toMatchObject({ path: '/next' });
  });

  it('never gives more than a block, whatever length is posted', () => {
    const ring = new LogRing(createLogRing());
    expect(ring.bytes(63, 10 * LOG_BLOCK_BYTES)).toHaveLength(LOG_BLOCK_BYTES);
  });

  it('carries every line once, in order, as whole lines', () => {
    const { log, messages, ring } = setUp();
    let text = '';
    for (let index = 0; index < 5000; index++) {
      log.record(entry(`/${index}`), 'json');
      for (const { block, length } of messages.splice(0)) {
        text += ring.bytes(block, length).toString('latin1');
        ring.release(block);
      }
    }
    log.flush();
    for (const { block, length } of messages) {
      text += ring.bytes(block, length).toString('latin1');
    }
    const paths = text
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { path: string }).path);
    expect(paths).toEqual(Array.from({ length: 5000 }, (_, index) => `/${index}`));
  });

  it('drops and counts lines while nobody gives blocks back, and goes on afterwards', () => {
    const { log, messages, ring, dropped } = setUp();
    const written = 200_000;
    for (let index = 0; index < written; index++) log.record(entry('/'), 'json');
    log.flush();
    const kept = messages.reduce((sum, { count }) => sum + count, 0);
    expect(dropped()).toBeGreaterThan(0);
    expect(kept + dropped()).toBe(written);
    expect(messages.length * LOG_BLOCK_BYTES).toBeLessThanOrEqual(8 * 1024 * 1024);

    for (const { block } of messages.splice(0)) ring.release(block);
    const before = dropped();
    log.record(entry('/again'), 'json');
    log.flush();
    expect(messages).toHaveLength(1);
    expect(dropped()).toBe(before);
  });

  it('keeps lines whole that are as long as lines get', () => {
    const { log, messages, ring } = setUp();
    for (let index = 0; index < 20; index++) {
      log.record({ ...entry('"'.repeat(20_000)), errorDetail: '\u0000'.repeat(20_000) }, 'json');
    }
    log.flush();
    const lines = messages.flatMap(({ block, length }) =>
      ring.bytes(block, length).toString('latin1').trimEnd().split('\n'),
    );
    expect(lines).toHaveLength(20);
    for (const line of lines) expect(() => JSON.parse(line) as unknown).not.toThrow();
  });
});
