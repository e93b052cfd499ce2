/** How the store is followed, for people: in answers, in the log. */
import type { Logger } from '../../observe/logger.ts';
import type { FollowedState } from './followed-store.ts';

const WORDS = {
  connecting: 'has not been reached yet',
  current: 'is followed',
  stale: 'can’t be followed',
  held: 'is not the one that was followed',
} as const satisfies Readonly<Record<FollowedState, string>>;

/** What may follow "the store". @param state of this version or of another one's answer */
export function inWords(state: string): string {
  return Object.hasOwn(WORDS, state) ? WORDS[state as FollowedState] : `is ${state}`;
}

/** @param reason undefined for `current`. */
export function tellState(log: Logger, state: FollowedState, reason: string | undefined): void {
  const fields = { state, ...(reason !== undefined && { reason }) };
  if (state === 'current') log.info('cluster.current', 'the store is followed', fields);
  else if (state === 'held') {
    const message = `the store is not the one that was followed (${reason}): it is not run on, until fairlead cluster accept-epoch says so`;
    log.error('cluster.held', message, fields);
  } else {
    const message = `the store can't be followed (${reason}): running on what was known last`;
    log.warn('cluster.stale', message, fields);
  }
}
