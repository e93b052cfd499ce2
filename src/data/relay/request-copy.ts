/** Takes the body of a request as the client sends it. */
export interface BodyTaker {
  readonly isComplete: boolean;
  /** Why it is refused. */
  readonly error: string | null;
  /** @returns the offset of the first byte of `buffer[start, end)` that is not part of the body. The bytes may change. */
  receive(buffer: Buffer, start: number, end: number): number;
}

/** The copy of a request that goes to another pool (mirrors.ts), as the exchange of the request itself knows it. */
export interface RequestCopy {
  /** What `body` takes is copied; when it is complete, the copy leaves. */
  before(body: BodyTaker): Pick<BodyTaker, 'receive'>;
  /** The request goes on to its pool: only then the copy may leave. May be called again. */
  letIn(): void;
  /** The exchange is over: a copy that has not left by now never will. */
  drop(): void;
}
