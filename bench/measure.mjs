/** What the system has booked to a program: CPU time and resident memory, all its processes and threads together. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** USER_HZ: what /proc/PID/stat counts in. 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** The fields of /proc/PID/stat after the name, which may hold anything; null for a process that is gone. */
function statOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return {
      parent: Number(fields[1]),
      // Of the process and of the children that it has waited for.
      user: Number(fields[11]) + Number(fields[13]),
      system: Number(fields[12]) + Number(fields[14]),
    };
  } catch {
    return null;
  }
}

/** A process and everything that descends from it. */
function familyOf(root) {
  const parents = new Map();
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? statOf(name) : null;
    if (stat !== null) parents.set(Number(name), stat.parent);
  }
  const family = [root];
  for (const member of family) {
    for (const [pid, parent] of parents) if (parent === member) family.push(pid);
  }
  return family;
}

/**
 * CPU time used so far, in microseconds.
 * @param {number} root the pid of the program
 */
export function cpuTime(root) {
  let user = 0;
  let system = 0;
  for (const pid of familyOf(root)) {
    const stat = statOf(pid);
    user += stat?.user ?? 0;
    system += stat?.system ?? 0;
  }
  const microseconds = 1e6 / TICKS_PER_SECOND;
  return { userUs: user * microseconds, systemUs: system * microseconds };
}

/**
 * CPU time that the first thread of a program has used so far, in microseconds: in Fairlead, the control plane.
 * @param {number} pid
 */
export function mainThreadTime(pid) {
  const { user, system } = statOf(`${pid}/task/${pid}`) ?? { user: 0, system: 0 };
  return ((user + system) * 1e6) / TICKS_PER_SECOND;
}

/**
 * What programs have had of a core since the system started, in microseconds, and what a hypervisor took away. Without
 * the time of interrupts: the network's are partly in the programs' own time, partly in nobody's.
 * @param {string} core
 */
export function coreTime(core) {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'latin1'));
  const [user, nice, system, , , , , stolen] = line[1].split(' ').map(Number);
  return ((user + nice + system + stolen) * 1e6) / TICKS_PER_SECOND;
}

/** @param {number} root the pid of the program */
export function residentKiB(root) {
  let sum = 0;
  for (const pid of familyOf(root)) {
    try {
      sum += Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
    } catch {
      // Ended meanwhile.
    }
  }
  return sum;
}

const SETTLED_FOR_MS = 2000;
const SETTLING_ENDS_MS = 10_000;

/** Resident memory once it has stayed within 1 % for two seconds; after ten seconds, what it is then. */
export async function settledKiB(root) {
  const begin = performance.now();
  let reference = residentKiB(root);
  let since = begin;
  for (;;) {
    await sleep(200);
    const now = performance.now();
    const current = residentKiB(root);
    if (Math.abs(current - reference) > reference / 100) {
      reference = current;
      since = now;
    }
    if (now - since >= SETTLED_FOR_MS || now - begin >= SETTLING_ENDS_MS) return current;
  }
}

/** How many files and sockets a process started here may have open. */
export function openFilesLimit() {
  const limits = readFileSync('/proc/self/limits', 'latin1');
  const [, text] = /^Max open files\s+(\S+)/m.exec(limits) ?? [];
  return text === 'unlimited' ? Infinity : Number(text);
}
