/** How many data threads there will be. */
import { availableParallelism } from 'node:os';

const MOST_THREADS = 8;

export interface ThreadPlan {
  /** 0: in the caller's thread. */
  readonly count: number;
  /** Why the count is not the one asked for. */
  readonly note: string | undefined;
}

/** Several threads can share a port only with SO_REUSEPORT as Node ≥ 22.12 offers it on Linux. */
export function planThreads(
  asked: number | 'auto',
  platform: string = process.platform,
  nodeVersion: string = process.versions.node,
  parallelism: number = availableParallelism(),
): ThreadPlan {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  const canShare = platform === 'linux' && (major > 22 || (major === 22 && minor >= 12));
  if (asked === 'auto') {
    if (canShare) return { count: Math.min(parallelism, MOST_THREADS), note: undefined };
    return {
      count: 1,
      note: `one data thread: sharing a port needs Linux and Node 22.12 or later, this is Node ${nodeVersion} on ${platform}`,
    };
  }
  if (asked <= 1 || canShare) return { count: asked, note: undefined };
  return {
    count: 1,
    note: `one data thread instead of ${asked}: sharing a port needs Linux and Node 22.12 or later, this is Node ${nodeVersion} on ${platform}`,
  };
}
