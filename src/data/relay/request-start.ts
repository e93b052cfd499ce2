/** A request as one backend gets it: below the path of its URL, in its trace, and a call of gRPC with the time that is left for it. */
import type { Backend } from '../backend/backend.ts';
import type { RequestStart } from '../backend/backend-stream.ts';
import type { PoolView } from '../pool/pool-view.ts';
import { below } from '../wire/base-path.ts';
import { withFields } from '../wire/forward-request.ts';
import { normalPath } from '../wire/path.ts';
import type { DataContext } from './context.ts';
import type { IncomingRequest } from './incoming-request.ts';
import type { AttemptSpan, Trace } from './trace.ts';

export function startFor(
  request: IncomingRequest,
  { spec }: Backend,
  view: PoolView,
  context: DataContext,
  span: AttemptSpan | null,
): RequestStart {
  const { basePath } = spec;
  let start: RequestStart = basePath === '' ? request : startBelow(request, basePath, view);
  if (request.trace !== null) start = traced(start, request.trace, span);
  return request.call === null ? start : request.call.reduced(start, context.deadlines.now());
}

/** It may have come, and waited, when nobody looked at paths: this is where none gets past. */
function startBelow(
  { facts, forwarded }: IncomingRequest,
  basePath: string,
  { rules }: PoolView,
): RequestStart {
  const path = normalPath(facts.path, rules.paths);
  if (path === null) throw new Error('a backend was picked for a path that leads out of its own');
  return { facts, forwarded: below(basePath, path, forwarded) };
}

function traced(
  { facts, forwarded }: RequestStart,
  trace: Trace,
  span: AttemptSpan | null,
): RequestStart {
  return { facts, forwarded: withFields(forwarded, trace.line(span)) };
}
