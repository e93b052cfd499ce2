/** What an exchange gets of a request whose head is complete. */

import { readKeys } from '../pool/request-keys.ts';
import type { BackendPin } from '../relay/backend-pin.ts';
import type { DataContext } from '../relay/context.ts';
import type { IncomingRequest } from '../relay/incoming-request.ts';
import { FIELD_REFERER, FIELD_USER_AGENT } from '../wire/fields.ts';
import { type ForwardContext, forwardRequest } from '../wire/forward-request.ts';
import { findField } from '../wire/head.ts';
import type { HeadParser } from '../wire/head-parser.ts';
import { clientOrigin } from '../wire/location.ts';
import type { RequestFacts } from '../wire/request.ts';
import { forwardedClient } from './client-address.ts';

/** @param forwardContext made from the view in force. */
export function incomingRequest(
  context: DataContext,
  parser: HeadParser,
  facts: RequestFacts,
  forwardContext: ForwardContext,
  pin: BackendPin,
): IncomingRequest {
  const { snapshot, trustedProxies, defaultPool: pool } = context.view;
  const { view } = pool;
  const { isTrusted, peerAddress } = forwardContext;
  const requestId = facts.requestId ?? context.nextRequestId();
  const { accessLog } = snapshot;
  const isCombined = accessLog.isEnabled && accessLog.format === 'combined';
  const clientAddress = isTrusted
    ? forwardedClient(parser, peerAddress, trustedProxies)
    : peerAddress;
  const dropsHost = view.spec.hostHeader.kind !== 'client';
  return {
    pool,
    facts,
    forwarded: forwardRequest(parser, facts, forwardContext, requestId, dropsHost),
    clientAddress,
    keys: view.needsKeys ? readKeys(view, parser, facts.path, clientAddress, forwardContext) : null,
    requestId,
    protocol: facts.versionMinor === 1 ? 'HTTP/1.1' : 'HTTP/1.0',
    clientOrigin: clientOrigin(parser, facts, forwardContext),
    pin,
    headBytes: parser.length,
    userAgent: isCombined ? findField(parser, FIELD_USER_AGENT) : null,
    referer: isCombined ? findField(parser, FIELD_REFERER) : null,
  };
}
