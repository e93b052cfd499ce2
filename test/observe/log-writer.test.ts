import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rename, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LogWriter } from '../../src/observe/log-writer.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { afterTest } from '../support/after-test.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { SOON_MS, waitFor, within } from '../support/wait-for.ts';

async function file(): Promise<string> {
  const folder = temporaryFolder('log');
  return join(folder, 'log');
}

/** Runs a script that has `LogWriter` at hand, its standard output a pipe. */
function script(text: string): ReturnType<typeof spawn> {
  const url = new URL('../../build/observe/log-writer.js', import.meta.url);
  const child = spawn(
    '/bin/sh',
    [
      '-c',
      'exec "$0" --input-type=module -e "$1" | "$0" -e "$2"',
      process.execPath,
      `import { LogWriter } from ${JSON.stringify(url.href)};\n${text}`,
      'setTimeout(() => {}, 20000)',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  afterTest(() => void child.kill('SIGKILL'));
  return child;
}

describe('the log writer', () => {
  it('writes into a pipe that somebody reads, and does not wait for a reader where there is none', async () => {
    const path = await file();
    execFileSync('mkfifo', [path]);
    expect(() => new LogWriter({ target: path })).toThrow(`${path} is a pipe that nobody reads`);
    const reader = spawn('cat', [path], { stdio: ['ignore', 'pipe', 'ignore'] });
    afterTest(() => void reader.kill('SIGKILL'));
    let text = '';
    reader.stdout.setEncoding('latin1').on('data', (more: string) => {
      text += more;
    });
    const writer = await waitFor(() => new LogWriter({ target: path }));
    writer.write(Buffer.from(`${'x'.repeat(200_000)}\n`), 1, true);
    await waitFor(() => text.length === 200_001);
    await writer.close(SOON_MS);
  });

  it('says that the socket of a syslog server is no file', async () => {
    const path = await file();
    const server = net.createServer().listen(path);
    await once(server, 'listening');
    afterTest(() => void server.close());
    expect(() => new LogWriter({ target: path })).toThrow(
      `${path} is no file (the socket of a syslog server is unix:${path})`,
    );
  });

  it('writes everything in order', async () => {
    const path = await file();
    const writer = new LogWriter({ target: path });
    let expected = '';
    for (let index = 0; index < 5000; index++) {
      const line = `line ${index} ${'x'.repeat(index % 100)}\n`;
      expected += line;
      writer.write(Buffer.from(line), 1, index % 2 === 0);
    }
    await writer.close(5000);
    expect(await readFile(path, 'utf8')).toBe(expected);
    expect(writer.droppedLines).toBe(0);
  });

  it('drops access lines first when the queue is full, and counts them', async () => {
    const path = await file();
    const writer = new LogWriter({ target: path, maxQueueBytes: 1000 });
    const line = Buffer.from(`${'a'.repeat(99)}\n`);
    // The first one is being written; nothing comes back before this turn ends.
    for (let index = 0; index < 21; index++) writer.write(line, 2, true);
    expect(writer.droppedLines).toBe(20);
    writer.write(Buffer.from('important\n'), 1, false);
    expect(writer.droppedLines).toBe(20);
    await writer.close(5000);
    expect(await readFile(path, 'utf8')).toMatch(/important\n$/);
  });

  it('goes on in a new file after the old one was moved away', async () => {
    const path = await file();
    const writer = new LogWriter({ target: path });
    writer.write(Buffer.from('before\n'), 1, true);
    await writer.flush(1000);
    await rename(path, `${path}.1`);
    void writer.reopen();
    writer.write(Buffer.from('after\n'), 1, true);
    await writer.close(1000);
    expect(await readFile(`${path}.1`, 'utf8')).toBe('before\n');
    expect(await readFile(path, 'utf8')).toBe('after\n');
  });

  it('counts what a failing disk loses, and says so once', async () => {
    const errors: string[] = [];
    const writer = new LogWriter({
      target: '/dev/full',
      onError: (error) => errors.push(error.message),
    });
    for (let index = 0; index < 5; index++) {
      writer.write(Buffer.from('lost\n'), 1, true);
      await writer.flush(1000);
    }
    expect(writer.droppedLines).toBe(5);
    expect(writer.errors).toBe(5);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain('ENOSPC');
    await writer.close(1000);
  });

  // A limit on the size of files does what a full disk does: the first write stops in the middle, the next one is refused.
  it.runIf(process.platform === 'linux')(
    'tears one line where the disk is full, and goes on with a whole one',
    async () => {
      const path = await file();
      const url = new URL('../../build/observe/log-writer.js', import.meta.url);
      const child = spawn(
        '/bin/sh',
        [
          '-c',
          'ulimit -S -f 2; exec "$0" --input-type=module -e "$1" "$2"',
          process.execPath,
          `import { execFileSync } from 'node:child_process';
           import { LogWriter } from ${JSON.stringify(url.href)};
           const errors = [];
           const onError = ({ code }) => errors.push(code);
           const writer = new LogWriter({ target: process.argv[1], onError });
           const put = async (text) => {
             for (let index = 0; index < 30; index++) writer.write(Buffer.from(text), 1, true);
             await writer.flush(60_000);
           };
           // Multiples of neither 1024 nor 512, by which shells count.
           await put('first '.padEnd(100, 'x') + '\\n');
           await put('refused '.padEnd(100, 'x') + '\\n');
           execFileSync('prlimit', ['--pid', String(process.pid), '--fsize=unlimited:']);
           await put('last '.padEnd(100, 'x') + '\\n');
           await writer.close(60_000);
           console.log(JSON.stringify({ errors, dropped: writer.droppedLines }));`,
          path,
        ],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      afterTest(() => void child.kill('SIGKILL'));
      let said = '';
      child.stdout.setEncoding('utf8').on('data', (more: string) => {
        said += more;
      });
      await within(once(child, 'close'), SOON_MS, 'the end');
      const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
      const whole = lines.filter((line) => line.length === 100);
      expect(lines).toHaveLength(whole.length + 1);
      expect(lines.filter((line) => line.startsWith('last '))).toHaveLength(30);
      expect(whole.filter((line) => line.startsWith('last '))).toHaveLength(30);
      expect(JSON.parse(said)).toEqual({ errors: ['EFBIG'], dropped: 90 - whole.length });
    },
  );

  it('begins on a line of its own in a file that one before has left torn', async () => {
    const path = await file();
    await writeFile(path, 'whole\ncut o');
    for (const line of ['after\n', 'more\n']) {
      const writer = new LogWriter({ target: path });
      writer.write(Buffer.from(line), 1, true);
      await writer.close(SOON_MS);
    }
    expect(await readFile(path, 'utf8')).toBe('whole\ncut o\nafter\nmore\n');
    // A new file begins with a line, whatever the old one ended with.
    await writeFile(path, 'cut o');
    const writer = new LogWriter({ target: path });
    await rename(path, `${path}.1`);
    void writer.reopen();
    writer.write(Buffer.from('after\n'), 1, true);
    await writer.close(SOON_MS);
    expect(await readFile(path, 'utf8')).toBe('after\n');
  });

  it('says at once when a file can not be opened', () => {
    expect(() => new LogWriter({ target: '/nowhere/at/all' })).toThrow('ENOENT');
  });

  it('neither waits for a reader who stopped reading, nor keeps the process from exiting', async () => {
    const child = script(`
      const writer = new LogWriter({ target: 1, maxQueueBytes: 1000000 });
      for (let i = 0; i < 100; i++) writer.write(Buffer.alloc(100000), 1, true);
      await writer.close(100);
      process.stderr.write('dropped ' + (writer.droppedLines > 50));
      process.exit(0);
    `);
    const [text] = (await within(
      once(child.stderr as NodeJS.ReadableStream, 'data'),
      5000,
      'the end',
    )) as [Buffer];
    expect(String(text)).toBe('dropped true');
  });

  it('survives a reader who went away', async () => {
    const url = new URL('../../build/observe/log-writer.js', import.meta.url);
    const child = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { LogWriter } from ${JSON.stringify(url.href)};
         const writer = new LogWriter({ target: 1 });
         process.stdin.once('data', async () => {
           for (let i = 0; i < 10; i++) { writer.write(Buffer.from('x'), 1, true); await writer.flush(100); }
           await writer.close(100);
           process.exit(writer.droppedLines > 0 ? 42 : 1);
         });`,
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    afterTest(() => void child.kill('SIGKILL'));
    child.stdout.destroy();
    child.stdin.write('go');
    const [code] = (await within(once(child, 'exit'), SOON_MS, 'the end')) as [number];
    expect(code).toBe(42);
  });
});

describe('the logger', () => {
  it('writes JSON lines with time, level, event and msg', async () => {
    const path = await file();
    const writer = new LogWriter({ target: path });
    const { logger, setLevel } = createLogger({ level: 'info', writer });
    logger.debug('hidden', 'not this');
    logger.warn('backend.down', 'it is down', {
      backend: 'http://localhost:1',
      error: new Error('why'),
    });
    setLevel('debug');
    logger.debug('shown', 'but this');
    await writer.close(SOON_MS);
    const lines = (await readFile(path, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatchObject({
      level: 'warn',
      event: 'backend.down',
      msg: 'it is down',
      backend: 'http://localhost:1',
      error: { message: 'why' },
    });
    expect(new Date(String(lines[0]?.['time'])).toISOString()).toBe(lines[0]?.['time']);
  });
});
