/** The attempt of a request whose client has a backend connection for itself: see backend-pin.ts. */
import type { View } from '../view.ts';
import { Attempt, type AttemptOwner } from './attempt.ts';
import type { IncomingRequest } from './incoming-request.ts';

/** Begins the attempt on the connection that the request's client has for itself; null when there is none, or no room. */
export function beginPinned(
  owner: AttemptOwner,
  view: View,
  { pin }: IncomingRequest,
  startedAt: number,
): Attempt | null {
  const backend = pin.take(view, startedAt);
  if (backend === null) return null;
  const attempt = new Attempt(owner, view, backend, startedAt);
  if (attempt.begin(false, pin.connection) === null) return attempt;
  pin.close();
  return null;
}
