import type { RouteCounters } from '../../snapshot/route-counters.ts';
import type { Policies } from '../pool/policies.ts';
import type { Pool } from '../pool/pool.ts';
import type { RequestKeys } from '../pool/request-keys.ts';
import type { Terms } from '../pool/terms.ts';
import type { FieldChanges } from '../route/field-changes.ts';
import type { ForwardedRequest } from '../wire/forward-request.ts';
import type { RequestFacts } from '../wire/request.ts';
import type { HeaderValue } from './access-log-entry.ts';
import type { BackendPin } from './backend-pin.ts';
import type { GrpcCall } from './grpc-call.ts';
import type { AskedRequest } from './hooks.ts';
import type { RequestCopy } from './request-copy.ts';
import type { Trace } from './trace.ts';

/** A request as it came in, checked and ready to be forwarded. */
export interface IncomingRequest {
  /** Where it goes; of one that goes nowhere, whose policies count for the answer. */
  readonly pool: Pool;
  /** The pool's, or those of the route laid over them. */
  readonly policies: Policies;
  /** The route that has led it there, for the log; null where there are none, and where none is for it. */
  readonly route: string | null;
  /** Null where there is only one, which leads all to one pool: that counts them. */
  readonly routeCounters: RouteCounters | null;
  /** Of a route that is split, for the log: the name of the part that it got; else null. */
  readonly part: string | null;
  /** What stands before the pool, or in its place; null as a rule. */
  readonly terms: Terms | null;
  /** What the client has asked for, in the form that routes look at: see `RequestFacts`. */
  readonly path: string;
  /** As it goes on: their path is what is forwarded. */
  readonly facts: RequestFacts;
  /** What its route changes in the answer; null: nothing. */
  readonly answerChanges: FieldChanges | null;
  readonly forwarded: ForwardedRequest;
  /** The client's own address: the peer's, or what a trusted proxy said. */
  readonly clientAddress: string;
  /** Null where no policy goes by more than the client's address. */
  readonly keys: RequestKeys | null;
  readonly requestId: string;
  /** What the client speaks, for the log. */
  readonly protocol: string;
  /** What redirects to the backend's own address are to say: see wire/location.ts. Empty: they pass as they come. */
  readonly clientOrigin: string;
  /** The backend connection that is only for the client's connection. */
  readonly pin: BackendPin;
  /** What functions of the program see of it; null: there are none. */
  readonly asked: AskedRequest | null;
  /** What there is to know of a call of gRPC; null: it is none. */
  readonly call: GrpcCall | null;
  /** Its place in a trace; null: what its client says of one goes on as it came. */
  readonly trace: Trace | null;
  /** Set: it goes to another pool as well. */
  mirror: RequestCopy | null;
  /** It is such a copy itself: nobody gets the answer, and no log line tells of it. */
  readonly isCopy: boolean;
  readonly headBytes: number;
  /** Read only where the log wants them. */
  readonly userAgent: string | null;
  readonly referer: string | null;
  readonly loggedHeaders: readonly HeaderValue[];
}
