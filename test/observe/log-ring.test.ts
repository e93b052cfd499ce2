import { describe, expect, it } from 'vitest';
import { accessLogRules } from '../../src/control/access-log-rules.ts';
import { AccessLog } from '../../src/data/relay/access-log.ts';
import { type AccessLogEntry, NO_HEADERS } from '../../src/data/relay/access-log-entry.ts';
import { createLogRing, LOG_BLOCK_BYTES, LogRing } from '../../src/snapshot/log-ring.ts';
import type { FromDataThread } from '../../src/snapshot/messages.ts';
import { createProcessCounters } from '../../src/snapshot/process-cells.ts';
import { ProcessCounters } from '../../src/snapshot/process-counters.ts';
import { readProcessCounters } from '../../src/snapshot/process-totals.ts';
import { accessLogTo } from '../control/fixtures.ts';

const RULES = accessLogRules(accessLogTo('stdout'));

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
    trace: null,
    userAgent: null,
    referer: null,
    headers: NO_HEADERS,
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
    () => 0.5,
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
      for (let count = 0; count < 8; count++) log.record({ ...entry('/'), [field]: text }, RULES);
      log.flush();
      const lines = messages.map(({ block, length }) => ring.bytes(block, length).toString());
      expect(lines.join('').split(text).length - 1).toBe(8);
      expect(lines.every((block) => block.endsWith('}\n'))).toBe(true);
    },
  );

  it('leaves out a line that no block can hold, and the next one is whole', () => {
    const { log, messages, ring, dropped } = setUp();
    log.record({ ...entry('/'), clientAddress: 'x'.repeat(LOG_BLOCK_BYTES) }, RULES);
    log.record(entry('/next'), RULES);
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
      log.record(entry(`/${index}`), RULES);
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
    for (let index = 0; index < written; index++) log.record(entry('/'), RULES);
    log.flush();
    const kept = messages.reduce((sum, { count }) => sum + count, 0);
    expect(dropped()).toBeGreaterThan(0);
    expect(kept + dropped()).toBe(written);
    expect(messages.length * LOG_BLOCK_BYTES).toBeLessThanOrEqual(8 * 1024 * 1024);

    for (const { block } of messages.splice(0)) ring.release(block);
    const before = dropped();
    log.record(entry('/again'), RULES);
    log.flush();
    expect(messages).toHaveLength(1);
    expect(dropped()).toBe(before);
  });

  it('keeps lines whole that are as long as lines get', () => {
    const { log, messages, ring } = setUp();
    for (let index = 0; index < 20; index++) {
      log.record({ ...entry('"'.repeat(20_000)), errorDetail: '\u0000'.repeat(20_000) }, RULES);
    }
    log.flush();
    const lines = messages.flatMap(({ block, length }) =>
      ring.bytes(block, length).toString('latin1').trimEnd().split('\n'),
    );
    expect(lines).toHaveLength(20);
    for (const line of lines) expect(() => JSON.parse(line) as unknown).not.toThrow();
  });

  it('keeps the share that sampling says of what went well, and everything else', () => {
    const { log, messages } = setUp();
    const rules = accessLogRules({ ...accessLogTo('stdout'), percent: 20, slowMs: 100 });
    const count = (): number => {
      log.flush();
      return messages.splice(0).reduce((sum, message) => sum + message.count, 0);
    };
    for (let index = 0; index < 2_000; index++) log.record(entry('/'), rules);
    const kept = count();
    expect(kept).toBeGreaterThan(300);
    expect(kept).toBeLessThan(500);
    const [ok] = [
      {
        backendUrl: 'http://a',
        isHttp2: false,
        isReused: false,
        chosen: 'strategy',
        status: 200,
        outcome: 'ok',
        durationMs: 1,
        failure: null,
      },
    ] as const;
    const notable = [
      { status: 404 },
      { status: 499 },
      { error: 'ERR_CLIENT_GONE' as const },
      { ended: 'client_gone' as const },
      { grpcStatus: 14 },
      { durationMs: 100 },
      { attempts: [{ ...ok, outcome: 'ERR_BACKEND_REFUSED' }, ok] },
    ];
    for (let round = 0; round < 20; round++) {
      for (const what of notable) log.record({ ...entry('/'), ...what }, rules);
    }
    expect(count()).toBe(20 * notable.length);
  });

  it('has an empty object for an exchange that has none of the fields', () => {
    const { log, messages, ring } = setUp();
    log.record(entry('/'), accessLogRules({ ...accessLogTo('stdout'), fields: ['error'] }));
    log.record(entry('/next'), accessLogRules({ ...accessLogTo('stdout'), fields: ['path'] }));
    log.flush();
    const [message] = messages;
    const text = ring.bytes(message?.block ?? -1, message?.length ?? 0).toString();
    expect(text).toBe('{}\n{"path":"/next"}\n');
  });
});
