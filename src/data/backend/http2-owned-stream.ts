import type { ErrorCode } from '../../errors.ts';
import { guarded } from '../barrier.ts';
import type { SendWindow } from '../wire/http2/windows.ts';
import type { BackendStreamUser } from './backend-stream.ts';

/** A stream, as its connection sees it. */
export interface OwnedStream {
  /** 0 before its request is sent. */
  id: number;
  /** Null once it is over. */
  readonly user: BackendStreamUser | null;
  readonly sendWindow: SendWindow;
  /** There may be room. @returns whether all that has waited was sent */
  sendWaiting(): boolean;
  /** More may be sent, or nothing that is sent leaves any more. */
  noteRoom(): void;
  /** There will be no complete response. */
  failed(code: ErrorCode, detail: string): void;
}

/** Tells the user of a stream something; who pays for an exception is the user alone. */
export function told(stream: OwnedStream, step: () => void): void {
  const { user } = stream;
  if (user !== null) guarded(user, step);
}
