/** The copy of a request that goes to another pool (mirrors.ts), as the exchange of the request itself knows it. */
export interface RequestCopy {
  /** A part of the body, which is copied; it stays the caller's. */
  take(buffer: Buffer, start: number, end: number): void;
  /** That was all of it: the copy may leave. @param trailers whole field lines */
  complete(trailers: string): void;
  /** The request goes on to its pool: only then the copy may leave. May be called again. */
  letIn(): void;
  /** The exchange is over: a copy that has not left by now never will. */
  drop(): void;
}
