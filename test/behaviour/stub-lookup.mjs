/**
 * Loaded into the proxy by `--import`: host names as these tests need them, whatever the machine's own files say.
 * `localhost` has both addresses, `vanished.test` is known to the control thread (its health checks pass) and unknown
 * to the data threads.
 */
import dns from 'node:dns';
import { isMainThread } from 'node:worker_threads';

const BOTH = [
  { address: '::1', family: 6 },
  { address: '127.0.0.1', family: 4 },
];
const original = dns.lookup;

dns.lookup = (hostname, options, callback) => {
  const answer = (addresses) => {
    if (options?.all === true) callback(null, addresses);
    else callback(null, addresses[0].address, addresses[0].family);
  };
  if (hostname === 'localhost') {
    queueMicrotask(() => answer(BOTH));
  } else if (hostname === 'vanished.test' && isMainThread) {
    queueMicrotask(() => answer([BOTH[1]]));
  } else if (hostname === 'vanished.test') {
    const error = new Error(`getaddrinfo ENOTFOUND ${hostname}`);
    queueMicrotask(() => callback(Object.assign(error, { code: 'ENOTFOUND', hostname })));
  } else {
    original(hostname, options, callback);
  }
};
