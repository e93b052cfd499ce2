/** What an answer settles about its client's session: where that is from now on, and what the client is told of it. */
import type { ObservedBody } from '../balance/stickiness.ts';
import type { ResponseHead } from '../wire/head.ts';
import type { Attempt } from './attempt.ts';
import type { Picker } from './pick.ts';

/** Field lines of ours for the response of the current attempt: whole ones, empty as a rule. */
export function addedFields(
  picker: Picker,
  head: ResponseHead,
  body: ObservedBody,
  isTls: boolean,
): string {
  const { backend, view } = picker.current as Attempt;
  const { sessions, panicLine } = view;
  if (sessions === null) return panicLine;
  const { keys, path } = picker.request;
  const key = keys?.session ?? null;
  if (picker.bindsSession) sessions.bind(key, backend, picker.keeper);
  if (sessions.learn !== undefined) body.learner = sessions.learn(key, path, head, backend);
  if (!picker.bindsSession) return panicLine;
  return panicLine + sessions.cookieLine(key, backend, keys?.isSecure ?? isTls);
}
