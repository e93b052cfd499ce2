/** An open connection of a client, whatever it speaks, as the listener that has accepted it knows it. */
import type { ErrorCode } from '../../errors.ts';
import type { Holder } from '../limit/held-memory.ts';
import type { StreamUser } from '../stream/byte-stream.ts';
import type { MayBeIdle } from './idle-clients.ts';

export interface OpenClient extends StreamUser, Holder, MayBeIdle {
  /** When `onDeadline` is called, on the awake clock. */
  readonly deadlineMs: number;
  onDeadline(): void;
  /** It is not read: `look` is called at each tick. */
  readonly isPaused: boolean;
  look(nowMs: number): void;
  /** Whatever it asks for is answered so, without being served. @param bytes what it has said already, borrowed */
  refuse(code: ErrorCode, bytes: Buffer, detail?: string): void;
  /** It is to close: at once if it is idle, after `idleMs`; else with the answers that are under way. @returns whether it is idle */
  beginDrain(idleMs?: number): boolean;
  /** Whatever runs on it is cut. @returns whether the client has lost something by it */
  abandon(code: ErrorCode, detail: string): boolean;
}
