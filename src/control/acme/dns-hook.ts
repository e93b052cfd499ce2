/** DNS-01 (RFC 8555 §8.4): a command makes the record and takes it away. There is no shell, and it has only so much time. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import type { DnsHook } from '../../config/acme-settings.ts';

const MOST_OUTPUT = 500;

/** Of a wildcard it is that of the name behind it. */
export function recordNameOf(name: string): string {
  return `_acme-challenge.${name.replace(/^\*\./, '')}`;
}

export function recordTextOf(authorization: string): string {
  return createHash('sha256').update(authorization).digest('base64url');
}

/** @throws Error, with a reason for people */
export function runHook(
  { command, timeoutMs }: DnsHook,
  deed: 'present' | 'cleanup',
  record: { readonly name: string; readonly text: string },
): Promise<void> {
  const [program = '', ...others] = command;
  return new Promise((resolve, reject) => {
    // In a group of its own, so that what it has begun ends with it.
    const child = spawn(program, [...others, deed, record.name, record.text], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let output = '';
    const hear = (bytes: Buffer): void => {
      output = (output + bytes.toString()).slice(-MOST_OUTPUT);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    const end = (why: string | null): void => {
      clearTimeout(timer);
      // What it has left running may hold them open.
      child.stdout.destroy();
      child.stderr.destroy();
      const said = output.replaceAll(/[\p{Cc}\s]+/gu, ' ').trim();
      if (why === null) resolve();
      else
        reject(new Error(`dns_hook ${program} ${deed}: ${why}${said === '' ? '' : `: ${said}`}`));
    };
    const timer = setTimeout(() => {
      endGroup(child.pid);
      end(`it has not ended within ${timeoutMs / 1000} s`);
    }, timeoutMs);
    child.on('error', (error) => end(error.message));
    child.on('exit', (code, signal) => {
      if (code === 0) end(null);
      // What it has said last is still on its way.
      else
        setImmediate(() => end(code === null ? `it ended by ${signal}` : `it ended with ${code}`));
    });
  });
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}
