/** Between an HTTP/2 connection to a backend and those beside it. */
import type { BackendConnection } from './backend-connection.ts';
import type { BackendStreamUser } from './backend-stream.ts';

/** One of them, as far as the others know it. */
interface Sibling {
  /** Its requests. */
  readonly count: number;
}

/** All HTTP/2 connections of a backend in this thread, as one of them sees them. */
export interface Http2Siblings {
  /** So many requests may wait for a connection that is not open yet. */
  readonly assumedStreams: number;
  /** None is kept once it is idle. */
  readonly keepsNone: boolean;
  /** The backend's SETTINGS have come. @param streams so many it takes at once */
  onOpened(streams: number): void;
  /** It speaks HTTP/1.1, as it may: the connection is theirs who wait. */
  onHttp1(connection: BackendConnection, waiting: readonly BackendStreamUser[]): void;
  /** It is open, and those who waited for it have been told: it may take others who are still connecting. */
  onReady(one: Sibling): void;
  /** With `auto`: the backend speaks HTTP/2, and wants HTTP/1.1. */
  onHttp1Required(): void;
  /** It is open, and has no room for these. */
  onOverflow(waiting: readonly BackendStreamUser[]): void;
  onClosed(one: Sibling): void;
}

/** For whom a connection is opened. */
export interface Http2Purpose {
  /** It is for one request, and no other. */
  readonly isPrivate: boolean;
  /** Nobody else waits for it: it may turn out to be HTTP/1.1. */
  readonly isAlone: boolean;
  /** What it says of its client first. */
  readonly header: Buffer | null;
}
