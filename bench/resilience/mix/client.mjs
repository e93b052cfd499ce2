/**
 * The clients of the mix, in a process of their own:
 *
 *   node client.mjs SEED FROM COUNT PORT TLS_PORT
 *
 * It prints `{ visits, violations }`: what each exchange came to, and the rules of HTTP/2 that were broken.
 */
import { writeSync } from 'node:fs';
import { Http1Client } from './http1-client.mjs';
import { framesClient, nodeClient } from './http2-clients.mjs';
import { drawPlan } from './plan.mjs';
import { Visit } from './play.mjs';
import { HAS_SOUND_HTTP2 } from './sending.mjs';

const AT_ONCE = 160;
const PATIENCE_MS = 40_000;

const [seed, from, count, clear, tls] = process.argv.slice(2).map(Number);
const ports = { clear, tls };
const otherClient = HAS_SOUND_HTTP2 ? nodeClient : framesClient;
const clients = {
  h1: new Http1Client(ports, false),
  h1s: new Http1Client(ports, true),
  frames: framesClient(ports, seed, false),
  framess: framesClient(ports, seed, true),
  node: otherClient(ports, seed, false),
  nodes: otherClient(ports, seed, true),
};
const visits = [];

function visitOf(index) {
  return new Promise((resolve) => {
    const visit = new Visit(drawPlan(seed, index), () => {
      clearTimeout(patience);
      resolve();
    });
    const patience = setTimeout(() => visit.onBroken('stuck'), PATIENCE_MS);
    visits.push(visit);
    clients[visit.plan.client]
      .begin(visit)
      .catch((error) => visit.onBroken(`failed: ${error.message}`));
  });
}

let next = from;
async function lane() {
  while (next < from + count) await visitOf(next++);
}

await Promise.all(Array.from({ length: AT_ONCE }, lane));
for (const client of Object.values(clients)) client.close();
const violations = Object.values(clients).flatMap((client) => client.violations ?? []);
const text = Buffer.from(JSON.stringify({ visits, violations }));
for (let at = 0; at < text.length; ) {
  try {
    at += writeSync(1, text, at);
  } catch (error) {
    // A pipe that is full for now.
    if (error.code !== 'EAGAIN') throw error;
  }
}
process.exit();
