/** What an exchange gets of a request whose head is complete. */

import type { RouteCounters } from '../../snapshot/route-counters.ts';
import type { MirrorRule } from '../pool/mirror-rule.ts';
import { readKeys } from '../pool/request-keys.ts';
import { refusedBeside, type Terms, termsOfNone } from '../pool/terms.ts';
import { NO_HEADERS } from '../relay/access-log-entry.ts';
import type { BackendPin } from '../relay/backend-pin.ts';
import type { DataContext } from '../relay/context.ts';
import type { GrpcCall } from '../relay/grpc-call.ts';
import type { AskedRequest } from '../relay/hooks.ts';
import type { IncomingRequest } from '../relay/incoming-request.ts';
import type { CorsRules } from '../route/cors.ts';
import { droppedOf, type FieldChanges } from '../route/field-changes.ts';
import type { RouteRewriting } from '../route/rewriting.ts';
import { FIELD_REFERER, FIELD_USER_AGENT } from '../wire/fields.ts';
import { type ForwardContext, forwardRequest, withFields } from '../wire/forward-request.ts';
import { findField, type RequestHead } from '../wire/head.ts';
import { clientOrigin } from '../wire/location.ts';
import type { RequestFacts } from '../wire/request.ts';
import { forwardedClient } from './client-address.ts';
import { copyOf } from './copied-request.ts';
import { loggedHeaders } from './logged-headers.ts';

/**
 * @param forwardContext made from the view in force.
 * @param headBytes as they came.
 * @param call null: it is no call of gRPC.
 */
export function incomingRequest(
  context: DataContext,
  head: RequestHead,
  asked: RequestFacts,
  forwardContext: ForwardContext,
  pin: BackendPin,
  headBytes: number,
  call: GrpcCall | null = null,
): IncomingRequest {
  return made(context, head, asked, forwardContext, pin, headBytes, call, false);
}

/** What an exchange would get. Nothing is changed by it: who comes next has the same turns. */
export function previewRequest(
  context: DataContext,
  head: RequestHead,
  asked: RequestFacts,
  forwardContext: ForwardContext,
  pin: BackendPin,
): IncomingRequest {
  return made(context, head, asked, forwardContext, pin, 0, null, true);
}

function made(
  context: DataContext,
  head: RequestHead,
  asked: RequestFacts,
  forwardContext: ForwardContext,
  pin: BackendPin,
  headBytes: number,
  call: GrpcCall | null,
  isPreview: boolean,
): IncomingRequest {
  const { snapshot, trustedProxies, router, defaultPool } = context.view;
  let facts = asked;
  let pool = defaultPool;
  let { policies } = pool.view;
  let route: string | null = null;
  let routeCounters: RouteCounters | null = null;
  let rewriting: RouteRewriting | null = null;
  let part: string | null = null;
  let mirror: MirrorRule | null = null;
  let terms: Terms | null = null;
  let dropsAuthorization = false;
  let cors: CorsRules | null = null;
  const { isTrusted, peerAddress } = forwardContext;
  const clientAddress = isTrusted
    ? forwardedClient(head, peerAddress, trustedProxies)
    : peerAddress;
  const requestId = asked.requestId ?? context.nextRequestId();
  if (router !== null) {
    const path = router.pathOf(asked.path);
    if (path !== null && path !== asked.path) facts = { ...asked, path };
    const found = path === null ? 'ERR_BAD_PATH' : router.find(facts, head, isTrusted);
    if (typeof found === 'string') {
      terms = termsOfNone(found);
    } else {
      const { split } = found;
      const target =
        split === null
          ? found
          : isPreview
            ? split.preview(head, facts.path, clientAddress, pin)
            : split.choose(head, facts.path, clientAddress, pin);
      ({ route, routeCounters, part, pool, policies, mirror, rewriting } = target);
      if (found.terms !== null) {
        const source = { facts, head, context: forwardContext, clientAddress, requestId };
        terms = found.terms.of(source);
        dropsAuthorization = !found.terms.keepsAuthorization;
        ({ cors } = found.terms);
      }
    }
  }
  const { hooks } = context;
  let seen: AskedRequest | null = null;
  // What a function of the program would say, only it knows.
  if (hooks !== null && !isPreview) {
    seen = hooks.ask(asked, head, clientAddress, requestId);
    terms = hooks.terms(seen, terms);
  }
  const { view } = pool;
  const { accessLog } = snapshot;
  const isCombined = accessLog.isEnabled && accessLog.format === 'combined';
  const dropsHost = view.spec.hostHeader.kind !== 'client';
  const { path } = facts;
  const { tracing } = snapshot;
  const trace =
    tracing === null || isPreview
      ? null
      : context.traces.begin(head, tracing.share, forwardContext.scheme);
  if (trace !== null) facts = { ...facts, nominated: trace.dropped(facts.nominated) };
  let changes: FieldChanges | null = null;
  let answerChanges: FieldChanges | null = null;
  if (rewriting !== null) {
    const source = { facts, head, context: forwardContext, clientAddress, requestId };
    const rewritten = rewriting.rewrite(source);
    ({ request: changes, answer: answerChanges } = rewritten);
    if (cors !== null && answerChanges !== null) answerChanges = cors.added(head, answerChanges);
    if (rewritten.target === null) {
      terms = refusedBeside(terms, 'ERR_BAD_PATH', 'what its route makes of it (rewrite)');
    }
    facts = {
      ...facts,
      path: rewritten.target ?? path,
      nominated: changes === null ? facts.nominated : droppedOf(changes, facts.nominated),
    };
  }
  if (call !== null && changes !== null) call.heed(changes);
  if (trace !== null) trace.target = facts.path;
  const forwarded = forwardRequest(head, facts, forwardContext, requestId, {
    dropsHost,
    dropsAuthorization,
    hasOtherPath: facts.path !== asked.path,
  });
  const request: IncomingRequest = {
    pool,
    policies,
    route,
    routeCounters,
    part,
    terms,
    path,
    facts,
    answerChanges,
    forwarded: changes === null ? forwarded : withFields(forwarded, changes.lines),
    clientAddress,
    keys: policies.needsKeys
      ? readKeys(view, policies, head, path, clientAddress, forwardContext)
      : null,
    requestId,
    protocol: facts.versionMinor === 1 ? forwardContext.protocol : 'HTTP/1.0',
    clientOrigin: clientOrigin(head, facts, forwardContext),
    pin,
    asked: seen,
    call,
    trace,
    mirror: null,
    isCopy: false,
    headBytes,
    userAgent: isCombined ? findField(head, FIELD_USER_AGENT) : null,
    referer: isCombined ? findField(head, FIELD_REFERER) : null,
    loggedHeaders: accessLog.headers.length === 0 ? NO_HEADERS : loggedHeaders(head, accessLog),
  };
  if (!isPreview && mirror?.isNext() === true) {
    request.mirror = copyOf(context, mirror, request, forwardContext, {
      head,
      hasOtherPath: facts.path !== asked.path,
      dropsAuthorization,
      addedLines: changes === null ? '' : changes.lines,
    });
  }
  return request;
}
