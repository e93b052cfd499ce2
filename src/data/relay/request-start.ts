/** A request as one backend gets it: below the path of its URL, and a call of gRPC with the time that is left for it. */
import type { Backend } from '../backend/backend.ts';
import type { RequestStart } from '../backend/backend-stream.ts';
import type { PoolView } from '../pool/pool-view.ts';
import { below } from '../wire/base-path.ts';
import { normalPath } from '../wire/path.ts';
import type { DataContext } from './context.ts';
import type { IncomingRequest } from './incoming-request.ts';

export function startFor(
  request: IncomingRequest,
  { spec }: Backend,
  view: PoolView,
  context: DataContext,
): RequestStart {
  const start = spec.basePath === '' ? request : startBelow(request, spec.basePath, view);
  return request.call === null ? start : request.call.reduced(start, context.deadlines.now());
}

/** It may have come, and waited, when nobody looked at paths: this is where none gets past. */
function startBelow(
  { facts, forwarded }: IncomingRequest,
  basePath: string,
  { snapshot }: PoolView,
): RequestStart {
  const path = normalPath(facts.path, snapshot.paths);
  if (path === null) throw new Error('a backend was picked for a path that leads out of its own');
  return { facts, forwarded: below(basePath, path, forwarded) };
}
