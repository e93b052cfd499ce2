/** The copy of a request for the pool that its route mirrors it to. */
import type { MirrorRule } from '../pool/mirror-rule.ts';
import { readKeys } from '../pool/request-keys.ts';
import { BackendPin } from '../relay/backend-pin.ts';
import type { DataContext } from '../relay/context.ts';
import type { IncomingRequest } from '../relay/incoming-request.ts';
import type { RequestCopy } from '../relay/request-copy.ts';
import { type ForwardContext, forwardRequest, withFields } from '../wire/forward-request.ts';
import type { Head } from '../wire/head.ts';

/** How the request itself was forwarded. */
export interface Original {
  readonly head: Head;
  /** Their path is not that of the head. */
  readonly hasOtherPath: boolean;
  readonly dropsAuthorization: boolean;
  /** Field lines that its route has added. */
  readonly addedLines: string;
}

/**
 * @returns null: it is not mirrored. A handshake is not: its answer would be a tunnel. Nor is a login that holds for a
 * connection, which would be another one.
 */
export function copyOf(
  context: DataContext,
  { pool, policies }: MirrorRule,
  request: IncomingRequest,
  forwardContext: ForwardContext,
  { head, hasOtherPath, dropsAuthorization, addedLines }: Original,
): RequestCopy | null {
  const { facts, path, requestId, clientAddress } = request;
  if (facts.upgrade !== '' || facts.authenticatesConnection) return null;
  const { view } = pool;
  const dropsHost = view.spec.hostHeader.kind !== 'client';
  const isAsForwarded = dropsHost === (request.pool.view.spec.hostHeader.kind !== 'client');
  const rewriting = { dropsHost, dropsAuthorization, hasOtherPath };
  const copy: IncomingRequest = {
    ...request,
    pool,
    policies,
    // Nobody waits with the body for a 100: it is there.
    facts: { ...facts, expectsContinue: false },
    terms: null,
    answerChanges: null,
    forwarded: isAsForwarded
      ? request.forwarded
      : withFields(forwardRequest(head, facts, forwardContext, requestId, rewriting), addedLines),
    keys: policies.needsKeys
      ? readKeys(view, policies, head, path, clientAddress, forwardContext)
      : null,
    clientOrigin: '',
    pin: new BackendPin(request.pin),
    call: request.call === null ? null : request.call.copy(),
    trace: request.trace === null ? null : context.traces.forCopy(request.trace),
    isCopy: true,
  };
  return context.mirrors.copyOf(copy, request.policies.retries.replayBufferBytes);
}
