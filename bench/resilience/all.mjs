/** Every experiment, in the order in which they run. A new one joins here. */
import { crashes } from './crashes.mjs';
import { explained } from './explain.mjs';
import { http2Attacks } from './http2-attacks.mjs';
import { http2Mix } from './http2-mix.mjs';
import { keepAliveRace } from './keep-alive-race.mjs';
import { rateLimit } from './rate-limit.mjs';
import { reloads } from './reloads.mjs';
import { replacedThreads } from './replaced-threads.mjs';
import { retryStorm } from './retry-storm.mjs';
import { sigkillGet, sigkillPost } from './sigkill.mjs';
import { slowUnderLeastConnections, slowUnderPeakEwma } from './slow-backend.mjs';
import { stickiness } from './stickiness.mjs';
import { upgrades } from './upgrades.mjs';

/** @type {readonly import('./figure.mjs').Experiment[]} */
export const EXPERIMENTS = [
  sigkillGet,
  sigkillPost,
  keepAliveRace,
  slowUnderPeakEwma,
  slowUnderLeastConnections,
  retryStorm,
  stickiness,
  rateLimit,
  reloads,
  upgrades,
  replacedThreads,
  crashes,
  http2Attacks,
  http2Mix,
  explained,
];
