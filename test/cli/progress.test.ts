/** How far long work is, on a terminal and elsewhere. */
import { afterEach, expect, test, vi } from 'vitest';
import { Progress } from '../../src/cli/terminal/progress.ts';

afterEach(() => {
  vi.useRealTimers();
});

function output(isTTY: boolean | undefined, columns?: number) {
  const written: string[] = [];
  const write = (text: string): void => void written.push(text);
  return { written, isTTY, columns, write };
}

test('on a terminal one line is written over, every second, and free at the end', () => {
  vi.useFakeTimers();
  const terminal = output(true, 20);
  const progress = new Progress(terminal);
  progress.follow((seconds) => `it starts: ${seconds} s`);
  vi.advanceTimersByTime(2_000);
  progress.show('what is as wide as the terminal, or wider');
  progress.end();
  vi.advanceTimersByTime(5_000);
  expect(terminal.written).toEqual([
    '\r\u001B[Kit starts: 0 s',
    '\r\u001B[Kit starts: 1 s',
    '\r\u001B[Kit starts: 2 s',
    '\r\u001B[Kwhat is as wide as ',
    '\r\u001B[K',
  ]);
});

test('elsewhere nothing is written, and no timer is left', () => {
  vi.useFakeTimers();
  const pipe = output(undefined);
  const progress = new Progress(pipe);
  progress.follow(() => 'it starts');
  expect(vi.getTimerCount()).toBe(0);
  progress.show('it goes on');
  progress.end();
  expect(pipe.written).toEqual([]);
});
