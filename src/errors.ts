import { type GrpcStatusName, grpcOf } from './grpc-status.ts';

/**
 * Every error that Fairlead itself can answer with, in one table.
 *
 * `source` says who is to blame: the client, a backend, or the proxy itself.
 * `retry` says whether another attempt may save the request; `relay/retry-decision.ts` is its only reader:
 * - `never`: the exchange ends here;
 * - `if-idempotent`: the request was sent and not a byte of a response came: only a method that may be repeated;
 * - `always`: not one byte of the request reached a backend;
 * - `if-idle`: the same, for want of something on our side, which another backend would want as well: only over a connection
 *   that is open already;
 * - `if-asked`: an operator has listed it (`retries.on_grpc_status`), whatever the method is.
 * `proxyStatus` is the error type of RFC 9209 §2.3 that goes into the Proxy-Status field.
 * `grpc` is what a call of gRPC ends with in place of the status (docs/decisions/0029-grpc.md).
 *
 * The order is part of the contract with the shared counters: a code's index is its counter cell.
 * Append; never reorder within a running process.
 */
export interface ErrorSpec {
  /** HTTP status of the answer. 499 is logged only, where nothing was sent: the client is gone, or we have closed. */
  readonly status: number;
  readonly source: 'client' | 'backend' | 'proxy';
  readonly retry: 'never' | 'if-idempotent' | 'always' | 'if-idle' | 'if-asked';
  readonly proxyStatus: string;
  readonly grpc: GrpcStatusName;
  /** One sentence for the answer's body and the log. */
  readonly message: string;
}

function client(status: number, message: string): ErrorSpec {
  const grpc = grpcOf(status);
  const proxyStatus = 'http_request_error';
  return { status, source: 'client', retry: 'never', proxyStatus, grpc, message };
}

function proxy(
  status: number,
  proxyStatus: string,
  message: string,
  grpc = grpcOf(status),
): ErrorSpec {
  return { status, source: 'proxy', retry: 'never', proxyStatus, grpc, message };
}

function backend(
  status: number,
  retry: ErrorSpec['retry'],
  proxyStatus: string,
  message: string,
  grpc = grpcOf(status),
): ErrorSpec {
  return { status, source: 'backend', retry, proxyStatus, grpc, message };
}

export const ERRORS = {
  // The client's request is malformed: refused with 400, the connection closes.
  ERR_BAD_REQUEST_LINE: client(400, 'The request line is malformed.'),
  ERR_BAD_METHOD: client(
    400,
    'The method is not a token of at most 32 bytes. TLS on a port without it looks like this.',
  ),
  ERR_BAD_TARGET: client(400, 'The request target is malformed.'),
  ERR_BAD_VERSION: client(400, 'The protocol version is malformed.'),
  ERR_BAD_LINE_END: client(400, 'A line does not end with CR LF.'),
  ERR_BAD_FIELD_NAME: client(400, 'A header field name is malformed.'),
  ERR_OBS_FOLD: client(400, 'A header field is folded over several lines.'),
  ERR_BAD_FIELD_VALUE: client(400, 'A header field value holds a control character.'),
  ERR_NO_HOST: client(400, 'The Host header field is missing.'),
  ERR_DUPLICATE_HOST: client(400, 'There is more than one Host header field.'),
  ERR_BAD_HOST: client(400, 'The Host header field is malformed.'),
  ERR_BAD_CONTENT_LENGTH: client(400, 'The Content-Length header field is malformed or repeated.'),
  ERR_BAD_TRANSFER_ENCODING: client(
    400,
    'The Transfer-Encoding header field is not exactly one "chunked".',
  ),
  ERR_LENGTH_AND_ENCODING: client(
    400,
    'The request has both Content-Length and Transfer-Encoding.',
  ),
  ERR_BAD_CHUNK: client(400, 'The chunked request body is malformed.'),
  ERR_BAD_TRAILER: client(400, 'The trailer section of the request is malformed.'),
  ERR_VERSION_UNSUPPORTED: client(505, 'Only HTTP/1.0 and HTTP/1.1 are spoken here.'),
  ERR_METHOD_REFUSED: client(405, 'This method is not accepted here.'),
  ERR_TARGET_TOO_LONG: client(414, 'The request line is too long.'),
  ERR_HEAD_TOO_LARGE: client(431, 'The header section is too large or has too many fields.'),
  ERR_BODY_TOO_LARGE: client(413, 'The request body is larger than allowed.'),
  ERR_HEAD_TIMEOUT: client(408, 'The request head did not arrive in time.'),
  ERR_BODY_TIMEOUT: client(408, 'The request body stopped arriving.'),
  ERR_CLIENT_GONE: client(
    499,
    'The client closed the connection before the response was complete.',
  ),
  ERR_CLIENT_TIMEOUT: client(499, 'The client stopped reading the response.'),

  ERR_CLIENT_TLS: client(400, 'The TLS handshake with the client failed.'),
  ERR_CLIENT_PROXY_HEADER: client(400, 'A proxy did not say who its client is.'),
  ERR_CLIENT_PLAIN_HTTP: client(400, 'This port speaks TLS: ask for https:// instead of http://.'),

  // Nobody to send the request to.
  ERR_NO_BACKEND: proxy(503, 'destination_unavailable', 'No healthy backend is available.'),
  ERR_BACKENDS_FULL: proxy(503, 'connection_limit_reached', 'No backend has room for the request.'),
  ERR_OUT_OF_SOCKETS: {
    status: 503,
    source: 'proxy',
    retry: 'if-idle',
    proxyStatus: 'proxy_internal_limit_reached',
    grpc: 'UNAVAILABLE',
    message: 'The proxy has run out of sockets or file descriptors.',
  },
  ERR_CUT_AT_SHUTDOWN: proxy(
    499,
    'proxy_internal_response',
    'The proxy ended before the exchange did.',
    'UNAVAILABLE',
  ),
  ERR_INTERNAL: proxy(
    499,
    'proxy_internal_error',
    'A bug of the proxy: the connection was closed, the log has the details.',
    'INTERNAL',
  ),

  // A backend failed before a byte of the request was sent: any method may go elsewhere.
  ERR_BACKEND_DNS: backend(502, 'always', 'dns_error', "The backend's host name did not resolve."),
  ERR_BACKEND_REFUSED: backend(
    502,
    'always',
    'connection_refused',
    'The backend refused the connection.',
  ),
  ERR_BACKEND_UNREACHABLE: backend(
    502,
    'always',
    'destination_ip_unroutable',
    'The backend could not be reached.',
  ),
  ERR_BACKEND_TLS: backend(
    502,
    'always',
    'tls_protocol_error',
    'The TLS handshake with the backend failed.',
  ),
  ERR_BACKEND_CONNECT_TIMEOUT: backend(
    504,
    'always',
    'connection_timeout',
    'Connecting to the backend took too long.',
    'UNAVAILABLE',
  ),

  // A backend failed after the request, or a part of it, was sent.
  ERR_BACKEND_CLOSED: backend(
    502,
    'if-idempotent',
    'connection_terminated',
    'The backend closed the connection before it answered.',
  ),
  ERR_BACKEND_RESPONSE_TIMEOUT: backend(
    504,
    'never',
    'http_response_timeout',
    'The backend took too long to answer.',
  ),
  ERR_BACKEND_BAD_RESPONSE: backend(
    502,
    'never',
    'http_protocol_error',
    'The backend sent a malformed response.',
    'INTERNAL',
  ),
  ERR_BACKEND_HEAD_TOO_LARGE: backend(
    502,
    'never',
    'http_response_header_section_size',
    "The header section of the backend's response is too large.",
    'INTERNAL',
  ),
  ERR_BACKEND_UPGRADE: backend(
    502,
    'never',
    'http_upgrade_failed',
    'The backend switched protocols without being asked to.',
    'INTERNAL',
  ),

  // A backend failed after a part of its response went to the client: the client's connection is reset.
  ERR_BACKEND_TRUNCATED: backend(
    502,
    'never',
    'http_response_incomplete',
    'The backend closed the connection in the middle of its response.',
  ),
  ERR_BACKEND_BODY_TIMEOUT: backend(
    504,
    'never',
    'http_response_timeout',
    "The backend's response stopped arriving.",
  ),

  // Limits and deadlines.
  ERR_RATE_LIMITED: {
    status: 429,
    source: 'client',
    retry: 'never',
    proxyStatus: 'http_request_denied',
    grpc: 'RESOURCE_EXHAUSTED',
    message: 'The client has sent too many requests.',
  },
  ERR_QUEUE_FULL: proxy(
    503,
    'connection_limit_reached',
    'Every backend is at its limit, and so is the queue.',
  ),
  ERR_QUEUE_TIMEOUT: proxy(
    503,
    'connection_limit_reached',
    'No backend had room for the request in time.',
  ),
  ERR_CIRCUIT_OPEN: proxy(
    503,
    'destination_unavailable',
    'The circuit breaker is open: too many requests have failed.',
  ),
  ERR_TOTAL_TIMEOUT: proxy(504, 'http_response_timeout', 'The request took too long altogether.'),
  ERR_BACKEND_TRY_TIMEOUT: backend(
    504,
    'if-idempotent',
    'http_response_timeout',
    'The backend did not answer this attempt in time.',
  ),
  ERR_BACKEND_STATUS: backend(
    502,
    'if-idempotent',
    'http_response_incomplete',
    'The backend answered with a status that is tried again.',
  ),

  // Nothing was sent, and no backend is to blame: another one may have an address that is known.
  ERR_RESOLVER: {
    status: 503,
    source: 'proxy',
    retry: 'always',
    proxyStatus: 'dns_error',
    grpc: 'UNAVAILABLE',
    message: "The resolver could not be asked for the backend's address.",
  },
  ERR_LOOP: proxy(
    508,
    'proxy_loop_detected',
    'The request has been here before: a backend leads back to this proxy.',
    'INTERNAL',
  ),
  // An operator took the backend away: who may, goes elsewhere.
  ERR_CUT_BY_DRAIN: {
    status: 503,
    source: 'proxy',
    retry: 'if-idempotent',
    proxyStatus: 'connection_terminated',
    grpc: 'UNAVAILABLE',
    message: 'The backend was taken out of use before it had answered.',
  },
  ERR_BUFFERS_FULL: proxy(
    499,
    'proxy_internal_limit_reached',
    'Too much waited in memory for clients and backends that do not take it.',
    'RESOURCE_EXHAUSTED',
  ),
  ERR_NO_ROUTE: client(404, 'No route is for this request.'),
  ERR_BAD_PATH: client(
    400,
    'The path holds an encoded slash, backslash or NUL, or leads above the root, or can be read in more than one way.',
  ),

  // What a route has against it.
  ERR_ADDRESS_REFUSED: {
    status: 403,
    source: 'client',
    retry: 'never',
    proxyStatus: 'http_request_denied',
    grpc: 'PERMISSION_DENIED',
    message: 'This is not for clients of this address.',
  },
  ERR_LOGIN_NEEDED: {
    status: 401,
    source: 'client',
    retry: 'never',
    proxyStatus: 'http_request_denied',
    grpc: 'UNAUTHENTICATED',
    message: 'This needs the name and the password of a user.',
  },
  ERR_LOGINS_BUSY: proxy(
    503,
    'proxy_internal_limit_reached',
    'Too many passwords are being checked.',
  ),
  ERR_MAINTENANCE: proxy(503, 'destination_unavailable', 'This is down for maintenance.'),
  ERR_FUNCTION_FAILED: proxy(
    503,
    'proxy_internal_error',
    'A function that looks at requests has failed.',
    'INTERNAL',
  ),
  ERR_CLIENT_CERTIFICATE: {
    status: 403,
    source: 'client',
    retry: 'never',
    proxyStatus: 'http_request_denied',
    grpc: 'PERMISSION_DENIED',
    message: 'A client certificate is needed here, and the one that was shown is not good.',
  },

  // Of HTTP/2 to a backend.
  ERR_BACKEND_NOT_HTTP2: backend(
    502,
    'always',
    'http_protocol_error',
    'The backend does not speak HTTP/2.',
  ),
  ERR_BACKEND_REFUSED_STREAM: backend(
    503,
    'always',
    'connection_limit_reached',
    'The backend refused the request before it had looked at it.',
  ),
  ERR_BACKEND_RESET: backend(
    502,
    'if-idempotent',
    'connection_terminated',
    'The backend broke the request off before it answered.',
  ),
  // Nobody is to blame: it ended its connection in order, and the request was under way.
  ERR_BACKEND_GOAWAY: {
    status: 503,
    source: 'proxy',
    retry: 'always',
    proxyStatus: 'connection_terminated',
    grpc: 'UNAVAILABLE',
    message: 'The backend took no more requests on the connection that this one was sent on.',
  },
  ERR_BACKEND_NO_WEBSOCKET: proxy(
    501,
    'http_upgrade_failed',
    'The backend offers no WebSockets over HTTP/2.',
  ),

  // Of HTTP/2 from a client.
  ERR_CLIENT_HTTP2: client(400, 'The client broke the rules of HTTP/2.'),
  ERR_CLIENT_FLOOD: client(
    400,
    'The client sent more frames that bring nothing, or reset more streams, than it may.',
  ),
  ERR_MISDIRECTED: client(421, 'The certificate of this connection is not for this host.'),

  // Of gRPC.
  ERR_CALL_DEADLINE: client(504, 'The time that the client gives the call (grpc-timeout) is over.'),
  ERR_BACKEND_GRPC_STATUS: backend(
    502,
    'if-asked',
    'http_response_incomplete',
    'The backend ended the call with a status that is tried again.',
  ),

  // Of limits that all instances count together.
  ERR_NOT_COUNTED: proxy(
    503,
    'destination_unavailable',
    'Whether the client has sent too many requests could not be found out.',
  ),
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERRORS;

/** All codes in table order: `ERROR_CODES[i]` is counted in error cell `i` of the shared counters. */
export const ERROR_CODES = Object.keys(ERRORS) as readonly ErrorCode[];
