/** Whether what an exchange came to is what its plan lets it come to. */

const REPLAY_BYTES = 64 * 1024;
/** Each pool has so many backends, and a request goes to each once. */
const BACKENDS = 2;
/** From the moment that a backend ends a connection to that in which Fairlead knows of it, on a busy machine. */
const SLACK_MS = 2_000;

/** What ends an attempt before its answer has begun. */
const BEFORE = new Set(['before', 'refuse', 'unseen', 'kill', 'collateral']);
/** What may end it in the middle of its answer. */
const CUT = new Set(['during', 'collateral']);
const UNSEEN = new Set(['refuse', 'unseen']);

/**
 * @param {object} plan
 * @param {object} visit of the client
 * @param {readonly object[]} attempts of the backends
 * @param {readonly number[]} ends of connections of the pool
 * @returns {string} what is wrong; empty: nothing
 */
export function judge(plan, visit, attempts, ends) {
  if (visit.isWrong || attempts.some(({ isWrong }) => isWrong)) return 'wrong bytes';
  if (attempts.some(({ isShort }) => isShort))
    return 'a request that was cut passed for a whole one';
  if (attempts.some(({ isHeadWrong }) => isHeadWrong)) return 'a wrong head of the request';
  if (attempts.some(({ areTrailersWrong }) => areTrailersWrong))
    return 'wrong trailers of the request';
  if (!visit.hasSentAll && attempts.some(({ isWhole }) => isWhole))
    return 'a whole request that was not sent';
  if (!plan.mayRepeat && attempts.filter(({ failed }) => !UNSEEN.has(failed)).length > 1) {
    return 'sent twice';
  }
  if (visit.end === 'stuck') return 'stuck';
  if (visit.isHeadWrong) return 'a wrong head of the answer';
  if (visit.end === 'whole' && visit.code === '') return judgeWhole(plan, visit, attempts);
  if (visit.hasLeft) return '';
  if (visit.code !== '') return judgeRefusal(plan, visit, attempts, ends);
  // What was behind a GOAWAY may be read after the attempt that has replaced it.
  const failed = attempts.findLast((attempt) => !UNSEEN.has(attempt.failed))?.failed ?? '';
  // The reset that cuts an answer of HTTP/1.1 may take all of it away, also where the client still sends.
  const mayBeLost = plan.client.startsWith('h1') && CUT.has(failed);
  if (visit.status === 0 && !mayBeLost) return 'no answer';
  return CUT.has(failed) ? '' : 'an answer that was cut';
}

function judgeWhole(plan, visit, attempts) {
  if (!visit.isWhole) return 'an answer that was cut passed for a whole one';
  if (visit.areTrailersWrong) return 'wrong trailers of the answer';
  if (visit.interim !== plan.answer.interim) return `interim answers: ${visit.interim}`;
  const isAnswered = attempts.some(({ hasAnswered, isWhole }) => {
    return hasAnswered && (isWhole || plan.answer.after < plan.request.length);
  });
  return isAnswered ? '' : 'an answer that nobody gave';
}

/** Fairlead has answered itself. */
function judgeRefusal(plan, visit, attempts, ends) {
  if (visit.status < 500) return `${visit.status} ${visit.code}`;
  const others = ends.filter(
    (at) => at >= visit.beganMs - SLACK_MS && at <= visit.endedMs + SLACK_MS,
  );
  const failed = attempts.filter((attempt) => BEFORE.has(attempt.failed));
  if (attempts.some((attempt) => CUT.has(attempt.failed))) return '';
  const failures = failed.length + others.length;
  if (failures === 0) return `${visit.status} ${visit.code}`;
  const isUnseen = others.length === 0 && failed.every((attempt) => UNSEEN.has(attempt.failed));
  const mayRepeat = (plan.mayRepeat || isUnseen) && plan.request.length <= REPLAY_BYTES;
  return mayRepeat && failures < BACKENDS
    ? `${visit.status} ${visit.code}, and another was left`
    : '';
}
