/** Who has to move next once the request of an exchange is on its way: by when, and what is said if nobody has. */
import type { Attempt } from './attempt.ts';
import { Phase } from './exchange-phases.ts';
import { LASTING_MS } from './judgement.ts';
import type { Responder } from './responder.ts';
import { type Failure, responseLimitMs, silentBackend, silentBody } from './silence.ts';
import type { Upload } from './upload.ts';

/** Something has moved just now: when the next must have, on the awake clock. */
export function silentUntil(
  phase: Phase,
  attempt: Attempt,
  upload: Upload | null,
  nowMs: number,
): number {
  const { policies } = attempt;
  if (phase === Phase.SENDING && upload?.isUnderWay !== true) {
    return attempt.silentSince + responseLimitMs(policies, upload);
  }
  const { idleMs, tunnelMs } = policies.timeouts;
  if (phase !== Phase.TUNNEL) return nowMs + idleMs;
  return nowMs + (attempt.judgement.isJudged ? tunnelMs : Math.min(tunnelMs, LASTING_MS));
}

/** A tunnel was silent for that time. @returns by when it must not have been any more; 0: it is over */
export function tunnelSilentUntil(attempt: Attempt, nowMs: number): number {
  const { judgement, policies } = attempt;
  const { tunnelMs } = policies.timeouts;
  if (judgement.isJudged || tunnelMs <= LASTING_MS) return 0;
  judgement.countAsGood();
  return nowMs + tunnelMs - LASTING_MS;
}

/** That time is over. */
export function silent(
  phase: Phase,
  attempt: Attempt,
  upload: Upload | null,
  client: Responder,
): Failure {
  const { policies } = attempt;
  if (phase === Phase.RESPONDING && client.needsDrain) {
    const detail = `nothing read for ${policies.timeouts.idleMs} ms (timeouts.idle)`;
    return { code: 'ERR_CLIENT_TIMEOUT', detail };
  }
  // The client owes the rest of its body, and the backend would take it.
  if (upload?.isUnderWay === true && !upload.isComplete && !attempt.needsDrain) {
    return { code: 'ERR_BODY_TIMEOUT', detail: silentBody(policies) };
  }
  if (phase === Phase.SENDING) return silentBackend(policies, upload);
  return { code: 'ERR_BACKEND_BODY_TIMEOUT', detail: silentBody(policies) };
}
