/**
 * A response that has no body by rule (to a HEAD, 204, 304) ends with its head, and a backend that sends one all the same sends
 * it a moment later: on a connection that is used again at once, it would be the answer to somebody else's request. So such a
 * connection is looked at once more before it is used: bytes that come to an idle one close it.
 */

/** Where a response announced the body that it must not have, which is where one follows, if it does, it gets this much time. */
const ANNOUNCED_MS = 1;

export interface Settling {
  /** Not to be used yet. */
  isSettling: boolean;
}

/** Called where a response has ended. The check phase of the loop comes before its next poll: hence the second one. */
export function lookAgain(connection: Settling, isAnnounced: boolean): void {
  connection.isSettling = true;
  if (isAnnounced) setTimeout(beforePoll, ANNOUNCED_MS, connection);
  else setImmediate(beforePoll, connection);
}

function beforePoll(connection: Settling): void {
  setImmediate(afterPoll, connection);
}

function afterPoll(connection: Settling): void {
  connection.isSettling = false;
}
