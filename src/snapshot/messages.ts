/**
 * The contract between the planes, part two: what they say to each other.
 *
 * A data thread is born with a `DataThreadInit` (worker data) and from then on knows only these messages.
 * Messages of one direction arrive in the order they were sent.
 */
import type { ErrorCode } from '../errors.ts';
import type { CounterEngineMessage, RateAnswerMessage, RateAskMessage } from './counter-engine.ts';
import type { Explanation, Question } from './explanation.ts';
import type { KeptRequest } from './kept-request.ts';
import type { SessionAnswerMessage, SessionAskMessage } from './shared-sessions.ts';
import type { Eligibility, ListenerSnapshot, Snapshot } from './snapshot.ts';
import type { SnapshotChange } from './snapshot-change.ts';
import type { TracedExchange } from './traced-exchange.ts';

export interface DataThreadInit {
  /** 0 … threadCount − 1: which cells of the shared counters are this thread's. A replacement takes the same index. */
  readonly threadIndex: number;
  readonly threadCount: number;
  /** The process-wide counters: see `ProcessCounters`. */
  readonly counters: SharedArrayBuffer;
  /** Where this thread's access-log lines go: see log-ring.ts. */
  readonly logRing: SharedArrayBuffer;
  /** What all threads know of single clients: see client-table.ts. */
  readonly clientTables: ClientTables;
  /** Share the port with other threads (SO_REUSEPORT). False with one thread. */
  readonly reusePort: boolean;
  /** What session tickets are sealed with, as in `TicketKeysMessage`. */
  readonly ticketKeys: Uint8Array;
  readonly snapshot: Snapshot;
}

/** Each the memory of one `ClientTable`. */
export interface ClientTables {
  readonly sessions: SharedArrayBuffer;
  readonly rates: SharedArrayBuffer;
  /** Of limits that are counted for all instances together. */
  readonly reserves: SharedArrayBuffer;
  readonly connections: SharedArrayBuffer;
}

/**
 * Run from now on the snapshot that this makes of the one in force, with what `eligibility` has said since. Answered by `applied` with
 * the same sequence.
 */
export interface SnapshotMessage {
  readonly kind: 'snapshot';
  readonly sequence: number;
  readonly change: SnapshotChange;
}

/** Which backends of a pool may be picked has become this (ids of the current snapshot). Answered by `applied`, same sequence. */
export interface EligibilityMessage {
  readonly kind: 'eligibility';
  readonly sequence: number;
  readonly poolId: number;
  readonly eligibility: Eligibility;
}

/** Seal session tickets with these keys from now on, the same in all threads: see ticket-keys.ts. */
export interface TicketKeysMessage {
  readonly kind: 'ticket-keys';
  readonly keys: Uint8Array;
}

/**
 * Open these listeners, beside those that are open. Answered by `listening` with the same sequence. A thread that has
 * been told so once opens by itself what a later snapshot has more.
 */
export interface ListenMessage {
  readonly kind: 'listen';
  readonly sequence: number;
  readonly listeners: readonly ListenerSnapshot[];
}

/** Close these listeners, which no snapshot has had: not all threads could open them. */
export interface UnlistenMessage {
  readonly kind: 'unlisten';
  readonly ids: readonly number[];
}

/**
 * Accept on these sockets of another data thread as well, which can't at the moment: in all ways as on one's own. Answered
 * by `standing-in` with the same sequence.
 */
export interface StandInMessage {
  readonly kind: 'stand-in';
  readonly sequence: number;
  readonly forThread: number;
  readonly sockets: readonly {
    readonly listenerId: number;
    readonly descriptors: readonly number[];
  }[];
}

/** That thread is there again: its sockets are let go. Whoever was accepted stays. */
export interface StandInOverMessage {
  readonly kind: 'stand-in-over';
  readonly forThread: number;
}

/**
 * Tunnels to this backend end within `deadlineMs`: their clients are told to go, spread over that time, and what is left
 * then is cut (`tunnels-cut`). Requests finish. Sent again, the new time counts. A thread that takes the place of one that has
 * died is told of the time that is left.
 */
export interface DrainBackendMessage {
  readonly kind: 'drain-backend';
  readonly backendId: number;
  readonly deadlineMs: number;
}

/** The drain of this backend is called off. */
export interface KeepBackendMessage {
  readonly kind: 'keep-backend';
  readonly backendId: number;
}

/** What is in flight at this backend, which may have left the snapshot, is cut (`tunnels-cut`, `requests-cut`). */
export interface CutBackendMessage {
  readonly kind: 'cut-backend';
  readonly backendId: number;
}

/**
 * Stop accepting, answer what is in flight with `Connection: close`, close idle connections, tell the clients of
 * tunnels to go, spread over the time, and answer `drained` once no client connection is left. After `deadlineMs` what is left is reset, and `drained` says how many that were.
 */
export interface DrainMessage {
  readonly kind: 'drain';
  readonly deadlineMs: number;
  /** Another process or thread listens on the same sockets by now, or soon: their files are its. */
  readonly isHandedOn: boolean;
}

/** What would become of this request? Answered by `explained` with the same sequence. */
export interface ExplainMessage {
  readonly kind: 'explain';
  readonly sequence: number;
  readonly question: Question;
}

/** Which of its last requests a thread has kept: the one with this id, or any. Answered by `kept`, same sequence. */
export interface ShowKeptMessage {
  readonly kind: 'show-kept';
  readonly sequence: number;
  readonly id: string | null;
}

/** The exchanges of a `traced` have arrived: the next may come. */
export interface TakenMessage {
  readonly kind: 'taken';
}

/** Destroy every socket now and end. The thread exits by itself afterwards. */
export interface StopMessage {
  readonly kind: 'stop';
}

export type ToDataThread =
  | SnapshotMessage
  | EligibilityMessage
  | TicketKeysMessage
  | ListenMessage
  | UnlistenMessage
  | StandInMessage
  | StandInOverMessage
  | DrainBackendMessage
  | KeepBackendMessage
  | CutBackendMessage
  | DrainMessage
  | ExplainMessage
  | ShowKeptMessage
  | TakenMessage
  | RateAnswerMessage
  | SessionAnswerMessage
  | CounterEngineMessage
  | StopMessage;

/** How opening listeners went; a sequence of 0: of those that a thread opened by itself. */
export interface ListeningMessage {
  readonly kind: 'listening';
  readonly sequence: number;
  readonly opened: readonly OpenedListener[];
  readonly failed: readonly FailedListener[];
}

export interface OpenedListener {
  readonly id: number;
  /** As the system says it; of a unix socket its path, and 0. */
  readonly host: string;
  readonly port: number;
  /** That it listens on; empty where they are not known. */
  readonly sockets: readonly ListeningSocket[];
}

export interface ListeningSocket {
  readonly descriptor: number;
  /** As the system knows it, whichever descriptors lead to it; empty: it does not say. */
  readonly inode: string;
}

export interface FailedListener {
  readonly id: number;
  /** The system's code: EADDRINUSE, EACCES, EADDRNOTAVAIL, or a TLS error's code. */
  readonly code: string;
  readonly message: string;
}

/** Which descriptors of `stand-in` are open in this thread now; the others are whoever's who has sent them. */
export interface StandingInMessage {
  readonly kind: 'standing-in';
  readonly sequence: number;
  readonly descriptors: readonly number[];
}

/** This thread is not trusted any more: it accepts nobody, finishes what it has, and ends. */
export interface RetiringMessage {
  readonly kind: 'retiring';
}

/** What came with this sequence is in force: every request that arrives from now on runs on it. */
export interface AppliedMessage {
  readonly kind: 'applied';
  readonly sequence: number;
}

export interface ExplainedMessage {
  readonly kind: 'explained';
  readonly sequence: number;
  /** Null: it could not be worked out, and the log says why. */
  readonly explanation: Explanation | null;
}

/** The newest first. */
export interface KeptMessage {
  readonly kind: 'kept';
  readonly sequence: number;
  readonly requests: readonly KeptRequest[];
}

export interface DrainedMessage {
  readonly kind: 'drained';
  /** Client connections that were reset at the deadline. */
  readonly resetConnections: number;
}

/** So many requests were in flight at a backend in this thread, and were cut, as `cut-backend` wanted. */
export interface RequestsCutMessage {
  readonly kind: 'requests-cut';
  readonly backendId: number;
  readonly count: number;
}

/** The deadline of a backend's drain has come, and this thread cuts so many tunnels that are left. */
export interface TunnelsCutMessage {
  readonly kind: 'tunnels-cut';
  readonly backendId: number;
  readonly count: number;
}

/** A backend could not be connected to: refused, unreachable, timed out, DNS or TLS failure. */
export interface ConnectFailedMessage {
  readonly kind: 'connect-failed';
  readonly backendId: number;
  readonly code: ErrorCode;
  /** Names every address that was tried. */
  readonly detail: string;
}

/** A backend did not answer within a timeout of ours. */
export interface NoAnswerMessage {
  readonly kind: 'no-answer';
  readonly backendId: number;
}

/** Peers that a listener expects the PROXY protocol from have not spoken it. One message for all of a tick. */
export interface NoProxyHeaderMessage {
  readonly kind: 'no-proxy-header';
  readonly listenerId: number;
  /** Its name. */
  readonly listener: string;
  readonly count: number;
  /** The first of them; empty: it has come by a unix socket. */
  readonly peer: string;
  /** What that one has sent, or the beginning of it, in visible ASCII. */
  readonly came: string;
  /** So long it had for a whole header; 0: what has come is none. */
  readonly waitedMs: number;
}

/** Clients of a listener have broken the rules of HTTP/2, or cost more than they may. One message for all of a tick. */
export interface Http2FaultMessage {
  readonly kind: 'client-fault';
  readonly listenerId: number;
  /** Its name. */
  readonly listener: string;
  readonly count: number;
  /** The first of them; empty: it has come by a unix socket. */
  readonly peer: string;
  readonly code: 'ERR_CLIENT_HTTP2' | 'ERR_CLIENT_FLOOD';
  /** What its GOAWAY says, by its name in RFC 9113 §7. */
  readonly error: string;
  /** What it did, in words. */
  readonly rule: string;
}

/** Clients have asked over TLS for names that nothing is known of, where some may get a certificate. One message for all of a tick. */
export interface NamesAskedMessage {
  readonly kind: 'names-asked';
  /** See `TlsSnapshot.onDemand`. */
  readonly group: string;
  /** At most 64; others ask again. */
  readonly names: readonly string[];
}

/** A backend has failed as often in a row as one of the `FaultRules` says, in all threads together. */
export interface FaultsInARowMessage {
  readonly kind: 'faults-in-a-row';
  readonly backendId: number;
  /** The setting that says how many. */
  readonly rule: 'consecutive_failures' | 'consecutive_5xx';
  /** The last of them. */
  readonly detail: string;
}

/**
 * Complete access-log lines, ASCII, each ended by LF: the first `length` bytes of this block of the thread's log ring.
 * The receiver releases the block.
 */
export interface AccessLogMessage {
  readonly kind: 'access-log';
  readonly block: number;
  readonly length: number;
  readonly count: number;
}

/** Exchanges that are over and whose trace is recorded. Answered by `taken`. */
export interface TracedMessage {
  readonly kind: 'traced';
  readonly exchanges: readonly TracedExchange[];
}

/** Something an operator should read in the log. */
export interface LogMessage {
  readonly kind: 'log';
  readonly level: 'info' | 'warn' | 'error';
  readonly event: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

export type FromDataThread =
  | ListeningMessage
  | StandingInMessage
  | RetiringMessage
  | AppliedMessage
  | DrainedMessage
  | ExplainedMessage
  | KeptMessage
  | TunnelsCutMessage
  | RequestsCutMessage
  | ConnectFailedMessage
  | NoAnswerMessage
  | FaultsInARowMessage
  | NamesAskedMessage
  | NoProxyHeaderMessage
  | Http2FaultMessage
  | AccessLogMessage
  | TracedMessage
  | RateAskMessage
  | SessionAskMessage
  | LogMessage;

/** How a data thread hands a message to the control plane. */
export type PostToControl = (message: FromDataThread) => void;
