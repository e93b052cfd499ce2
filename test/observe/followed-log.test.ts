import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LogWriter } from '../../src/observe/log-writer.ts';
import { createLogger, withFields } from '../../src/observe/logger.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('who follows the log gets its lines, also those that the log leaves out, and none of debug', async () => {
  const path = join(temporaryFolder(), 'log');
  const writer = new LogWriter({ target: path });
  const told: string[] = [];
  const { logger, setLevel } = createLogger({
    level: 'error',
    writer,
    tell: (event, line) => told.push(`${event} ${line}`),
  });
  const log = withFields(logger, { pool: 'web' });
  log.debug('one', 'first');
  log.info('two', 'second');
  log.error('three', 'third');
  setLevel('debug');
  log.debug('four', 'fourth');
  log.info('five', 'fifth', { id: 1 });
  await writer.close(1000);
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { event: string }).event)).toEqual([
    'three',
    'four',
    'five',
  ]);
  expect(told.map((line) => line.split(' ', 1)[0])).toEqual(['two', 'three', 'five']);
  expect(told[1]).toBe(`three ${lines[0]}\n`);
  expect(told[2]).toBe(`five ${lines[2]}\n`);
});
