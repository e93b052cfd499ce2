/**
 * What a peer is. Each one is a file of this folder that says how to find the program, how to configure it and how to
 * start it; all.mjs lists them.
 *
 * @typedef {object} Task what a scenario asks of a proxy
 * @property {readonly number[]} backends their ports on 127.0.0.1
 * @property {number} [threads] data threads (1)
 * @property {boolean} [hasAccessLog] of Fairlead (true)
 * @property {string} [dist] of Fairlead: the folder of another build than that of this tree
 * @property {boolean} [isRouted] of Fairlead: its config has a route for everything, to a pool with a name
 * @property {boolean} [isUnbound] of Fairlead: it may run on all cores, beside the load
 * @property {string} [adminToken] of Fairlead: its admin API asks for it
 * @property {{ endpoint: string, sample: number }} [tracing] of Fairlead: where its spans go, and of which share of the requests
 * @property {Certificate} [tls] speak TLS to clients, and HTTP/2 where the proxy has it
 * @property {boolean} [isH2c] clients speak HTTP/2 in the clear, by prior knowledge
 * @property {boolean} [hasHttp2Backends] backends are spoken to in HTTP/2, in the clear
 * @property {boolean} [isWebSocket] connections are going to be upgraded
 *
 * @typedef {object} Certificate paths of PEM files
 * @property {string} cert
 * @property {string} key
 * @property {string} both key and certificate in one file
 *
 * @typedef {object} Running
 * @property {import('node:child_process').ChildProcess} child
 * @property {number} port where clients connect
 * @property {number} [adminPort] of Fairlead
 * @property {string} [configFile] of Fairlead: what it is reloaded from
 *
 * @typedef {object} Peer
 * @property {string} name
 * @property {boolean} [isJustInTime] it is compiled while it runs, and so needs a longer warm-up
 * @property {(bench: import('../bench.mjs').Bench) => Promise<string>} find its version; throws `Missing`
 * @property {(bench: import('../bench.mjs').Bench, task: Task) => Promise<Running>} start
 */
import { isInstalled } from '../stage.mjs';

/** Why a peer can't take part. */
export class Missing extends Error {}

/** @param {string} program */
export function mustBeInstalled(program, debianPackage = program) {
  if (!isInstalled(program)) {
    throw new Missing(`${program} is not installed (Debian: apt-get install ${debianPackage})`);
  }
}

/** The first thing in the output of a command that looks like a version. */
export async function versionOf(bench, command, commandArguments) {
  const { output } = await bench.stage.run(command, commandArguments);
  return /\d+\.\d+(?:\.\d+)?/.exec(output)?.[0] ?? '?';
}
