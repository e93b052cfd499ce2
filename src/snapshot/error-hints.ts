/** What to look at, or to change, where Fairlead has answered itself. docs/errors.md says more of each. */
import { ERRORS, type ErrorCode } from '../errors.ts';

const HINTS: Partial<Record<ErrorCode, string>> = {
  ERR_NO_BACKEND: 'fairlead status says of each backend why it gets no requests',
  ERR_BACKENDS_FULL: 'more backends, a higher max_requests or max_connections, or a queue',
  ERR_QUEUE_FULL: 'more backends, or a larger queue.size',
  ERR_QUEUE_TIMEOUT: 'more backends, or a longer queue.timeout',
  ERR_CIRCUIT_OPEN: 'too much has failed here: look at the failures before, and at circuit_breaker',
  ERR_TOTAL_TIMEOUT: 'a longer timeouts.total, or fewer retries.attempts',
  ERR_RATE_LIMITED: 'the client sends more than rate_limit allows',
  ERR_NOT_COUNTED:
    'is the server of cluster.redis there? rate_limit.on_engine_down says what holds without',
  ERR_BUFFERS_FULL: 'clients read slowly: limits.buffered',
  ERR_LOOP: 'the backend leads back to Fairlead: look at its URL',
  ERR_NO_ROUTE: 'fairlead explain says why no route matches',
  ERR_MAINTENANCE: 'the route has maintenance set',
  ERR_OUT_OF_SOCKETS: 'more file descriptors (ulimit -n, LimitNOFILE), or fewer connections',
  ERR_RESOLVER: 'does the name server answer (/etc/resolv.conf)?',
  ERR_LOGINS_BUSY: 'somebody guesses passwords: a rate_limit for the route',
  ERR_FUNCTION_FAILED: 'function.failed in the log says what your function has thrown',
  ERR_CUT_AT_SHUTDOWN: 'Fairlead has ended before the request: a longer timeouts.drain',
  ERR_INTERNAL: 'a bug: please report the line connection.crashed of the log',
  ERR_CUT_BY_DRAIN: 'an operator has drained the backend with cut',
  ERR_BODY_TOO_LARGE: 'a larger limits.body',
  ERR_BACKEND_DNS: 'is the name of the backend right, and does the resolver answer?',
  ERR_BACKEND_REFUSED: 'is it running, and does it listen on this address and port?',
  ERR_BACKEND_UNREACHABLE: 'is there a way to its address from here?',
  ERR_BACKEND_TLS: 'its certificate, and backend_tls: ca_file, server_name',
  ERR_BACKEND_CONNECT_TIMEOUT:
    'a firewall that drops, a full backlog, or a longer timeouts.connect',
  ERR_BACKEND_CLOSED:
    'did it crash or restart? if the connection was reused: does it close idle ones early (timeouts.backend_keep_alive)?',
  ERR_BACKEND_RESPONSE_TIMEOUT:
    'it is slow: a longer timeouts.response; or it hangs: fairlead disable takes it out',
  ERR_BACKEND_TRY_TIMEOUT: 'it is slow: a longer retries.per_try_timeout',
  ERR_BACKEND_BODY_TIMEOUT: 'it has stopped in the middle of its answer: a longer timeouts.idle',
  ERR_BACKEND_BAD_RESPONSE: 'its answer is no HTTP that is safe to pass on; error_detail says what',
  ERR_BACKEND_HEAD_TOO_LARGE: 'a larger limits.head',
  ERR_BACKEND_TRUNCATED: 'it has ended in the middle of its answer: did it crash?',
  ERR_BACKEND_NOT_HTTP2: 'it speaks no HTTP/2: protocol: http1, or auto',
  ERR_BACKEND_GOAWAY: 'does it restart, or end its connections after few requests?',
  ERR_BACKEND_REFUSED_STREAM: 'it has as many requests as it takes: more backends, or max_requests',
  ERR_BACKEND_RESET: 'it has broken the request off; error_detail has its reason',
  ERR_BACKEND_UPGRADE: 'it switches to a protocol that was not asked for, or is not in upgrade',
  ERR_BACKEND_STATUS: 'it answers with a status of retries.on_status: look at its log',
  ERR_BACKEND_GRPC_STATUS: 'it ends calls with a status of retries.on_grpc_status: look at its log',
  ERR_BACKEND_NO_WEBSOCKET: 'it takes no WebSockets over HTTP/2: protocol: http1, or auto',
};

/** In the words of retry-decision.ts. */
const NO_RETRY: Readonly<Record<string, string>> = {
  'final error': 'this error is never tried again',
  'response has begun': 'some of the answer had come already',
  'not idempotent': 'the method may have had its effect (retries.non_idempotent)',
  'body is gone': 'more of the body was sent than is kept (retries.replay_buffer)',
  'no attempts left': 'so many attempts were made as may be (retries.attempts)',
  'nobody is left': 'no other backend is there that could take it',
  'deadline is near': 'timeouts.total leaves no time',
  'budget is spent': 'too many retries of late (retries.budget_percent)',
};

/** Undefined: nothing that the page does not say. */
export function ownHintOf(code: ErrorCode): string | undefined {
  return HINTS[code];
}

export function hintFor(code: ErrorCode): string {
  const own = ownHintOf(code);
  if (own !== undefined) return own;
  return ERRORS[code].source === 'client'
    ? 'the client has to send something else: docs/errors.md'
    : 'docs/errors.md';
}

export function whyNoRetry(reason: string): string {
  return NO_RETRY[reason] ?? reason;
}
