/**
 * What would become of a request if it came now, by the functions that it would go through: its head is written as a client
 * would, parsed, read and routed like any other, and nothing is changed by it.
 */
import type { ErrorCode } from '../../errors.ts';
import type {
  ExplainedFields,
  Explanation,
  Question,
  Refused,
} from '../../snapshot/explanation.ts';
import type { FieldRules } from '../../snapshot/rewriting.ts';
import { isTrusted } from '../listen/client-address.ts';
import { previewRequest } from '../listen/incoming-request.ts';
import type { View } from '../pool/view.ts';
import { foreseenRefusal, refusedAtOnce } from '../relay/admission.ts';
import { BackendPin } from '../relay/backend-pin.ts';
import type { DataContext } from '../relay/context.ts';
import type { IncomingRequest } from '../relay/incoming-request.ts';
import { ownAnswer } from '../relay/own-answers.ts';
import { PARSE_DONE } from '../wire/first-line.ts';
import { ForwardContext } from '../wire/forward-request.ts';
import type { Head } from '../wire/head.ts';
import type { HeadParser } from '../wire/head-parser.ts';
import { type RequestFacts, readRequest } from '../wire/request.ts';
import { explainPick } from './explain-pick.ts';
import { type Trials, tryRoutes } from './route-trials.ts';

const NOTHING = {
  refused: null,
  request: null,
  trials: [],
  trialsLeftOut: 0,
  route: null,
  part: null,
  refusedByRoute: null,
  needsLogin: false,
  answer: null,
  forwards: null,
  mirror: null,
  policies: null,
  pick: null,
} as const;

export function explain(context: DataContext, question: Question): Explanation {
  const parser = context.borrowRequestParser();
  try {
    return explained(context, question, parser);
  } finally {
    context.returnRequestParser(parser);
  }
}

function explained(context: DataContext, question: Question, parser: HeadParser): Explanation {
  const { view, threadIndex: thread } = context;
  const refused = (code: ErrorCode): Explanation => ({
    ...NOTHING,
    thread,
    refused: { code, detail: '' },
  });
  const bytes = Buffer.from(headOf(question), 'latin1');
  if (parser.parse(bytes, 0, bytes.length) !== PARSE_DONE) {
    return refused(parser.error ?? 'ERR_BAD_REQUEST_LINE');
  }
  const asked = readRequest(parser, view.forwardRules);
  if (typeof asked === 'string') return refused(asked);
  const { peerAddress, scheme } = question;
  const trusted = isTrusted(view.trustedProxies, peerAddress);
  const forward = new ForwardContext(peerAddress, scheme, trusted, view.forwardRules);
  const pin = new BackendPin({ ends: null });
  const request = previewRequest(context, parser, asked, forward, pin);
  const { router, snapshot } = view;
  const { route, part, path, clientAddress, policies, terms, facts } = request;
  const read = { ...asked, path };
  const { trials, leftOut } = trialsOf(view, read, parser, trusted, request);
  const target = router === null ? null : router.find(read, parser, trusted);
  const mirror = target === null || typeof target === 'string' ? null : target.mirror;
  const rewriting = snapshot.routes.find(({ name }) => name === route)?.rewriting;
  const refusedByRoute = refusedAtOnce(request) ?? foreseenRefusal(context, request);
  const answer = refusedByRoute === null ? ownAnswer(context, request) : null;
  const isServed = refusedByRoute === null && answer === null;
  const { timeouts, retries, bodyBytes, rateLimiter } = policies;
  return {
    thread,
    refused: null,
    request: { clientAddress, path, isTrusted: trusted },
    trials,
    trialsLeftOut: leftOut,
    route,
    part,
    refusedByRoute: refusedByRoute === null ? null : withoutFields(refusedByRoute),
    needsLogin: terms !== null && terms.login !== null,
    answer: answer === null ? null : { status: answer.status, location: locationIn(answer.fields) },
    forwards: isServed
      ? {
          target: facts.path,
          request: fieldsOf(rewriting?.requestFields),
          answer: fieldsOf(rewriting?.responseFields),
        }
      : null,
    mirror:
      isServed && mirror !== null ? { poolId: mirror.pool.id, isNext: mirror.wouldBeNext } : null,
    policies: { timeouts, retries, bodyBytes, rateLimit: rateLimiter?.limit ?? null },
    pick: isServed ? explainPick(request, context.processNowMs()) : null,
  };
}

/** Where the host or the path is refused, no route has been looked at. */
function trialsOf(
  { router, snapshot: { routes } }: View,
  facts: RequestFacts,
  head: Head,
  trusted: boolean,
  { route, terms }: IncomingRequest,
): Trials {
  if (router === null) {
    return { trials: routes.map(({ name }) => ({ route: name, why: null })), leftOut: 0 };
  }
  const wasTried = route !== null || terms?.refused?.code === 'ERR_NO_ROUTE';
  if (!wasTried) return { trials: [], leftOut: routes.length };
  return tryRoutes(routes, router.table, facts, head, trusted, route);
}

function headOf({ method, target, host, fields }: Question): string {
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n`;
}

function withoutFields({ code, detail }: Refused): Refused {
  return { code, detail };
}

function fieldsOf(rules: FieldRules | null | undefined): ExplainedFields | null {
  if (rules === null || rules === undefined) return null;
  const { set, add, remove } = rules;
  return { sets: set.map(({ name }) => name), adds: add.map(({ name }) => name), removes: remove };
}

function locationIn(lines: string): string | null {
  const line = lines.split('\r\n').find((one) => one.startsWith('Location: '));
  return line === undefined ? null : line.slice('Location: '.length);
}
