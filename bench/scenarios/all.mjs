/** Every scenario, in the order in which they run. A new one joins here. */

import { adminFloods } from './admin-floods.mjs';
import { builds } from './builds.mjs';
import { certificates } from './certificates.mjs';
import { changes } from './changes.mjs';
import {
  backends3,
  backends100,
  body1k,
  body1m,
  body64k,
  newConnection,
  post64k,
  smallGet,
  smallGetNoLog,
} from './http.mjs';
import { grpc, http2, http2Backend, http2Body64k, http2Clear, http2OneStream } from './http2.mjs';
import { http2Idle, http2IdleTls, idle } from './idle.mjs';
import { latency } from './latency.mjs';
import { manyPools } from './many-pools.mjs';
import { pick } from './pick.mjs';
import { routes } from './routes.mjs';
import { tail } from './tail.mjs';
import { threads } from './threads.mjs';
import { tlsGet, tlsNew, tlsResumed } from './tls.mjs';
import { tracing } from './tracing.mjs';
import { webSocket } from './websocket.mjs';

/** @type {readonly import('../bench.mjs').Scenario[]} */
export const SCENARIOS = [
  smallGet,
  smallGetNoLog,
  body1k,
  body64k,
  body1m,
  post64k,
  newConnection,
  idle,
  webSocket,
  tlsGet,
  tlsNew,
  tlsResumed,
  certificates,
  http2,
  http2Clear,
  http2OneStream,
  http2Body64k,
  http2Backend,
  http2Idle,
  http2IdleTls,
  grpc,
  threads,
  backends3,
  backends100,
  pick,
  routes,
  tail,
  latency,
  changes,
  adminFloods,
  tracing,
  manyPools,
  builds,
];
