/**
 * SIGHUP and SIGUSR2 end a process that does not listen for them: a log rotation or a reload in the moment of the start
 * took the proxy down.
 */
import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { holdSignals } from '../../src/control/lifecycle.ts';

test('signals that come during the start are handed on once it is over', () => {
  const source = new EventEmitter();
  const release = holdSignals(source);
  expect(source.emit('SIGHUP', 'SIGHUP')).toBe(true);
  expect(source.emit('SIGHUP', 'SIGHUP')).toBe(true);
  expect(source.emit('SIGUSR2', 'SIGUSR2')).toBe(true);
  const came: unknown[] = [];
  source.on('SIGHUP', (signal) => came.push(signal));
  source.on('SIGUSR2', (signal) => came.push(signal));
  release();
  expect(came).toEqual(['SIGHUP', 'SIGUSR2']);
  release();
  expect(came).toHaveLength(2);
});

test('nothing listens any more after a start that failed', () => {
  const source = new EventEmitter();
  const release = holdSignals(source);
  source.emit('SIGHUP', 'SIGHUP');
  release();
  expect(source.eventNames()).toEqual([]);
});
