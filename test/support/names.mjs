/**
 * Preloaded into Fairlead and its threads: the names in the JSON file `TEST_NAMES` have the addresses, or are answered with
 * the code of an error, that it maps them to at that moment. Each lookup of one by a data thread is a line of `TEST_NAMES` + `.log`.
 */
import dns from 'node:dns';
import { appendFileSync, readFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const file = process.env['TEST_NAMES'];
const original = dns.lookup;

dns.lookup = (hostname, options, callback) => {
  const known = JSON.parse(readFileSync(file, 'utf8'))[hostname];
  if (known === undefined) {
    original(hostname, options, callback);
    return;
  }
  if (!isMainThread) appendFileSync(`${file}.log`, `${hostname}\n`);
  setImmediate(() => {
    if (typeof known === 'string') {
      const error = new Error(`getaddrinfo ${known} ${hostname}`);
      callback(Object.assign(error, { code: known, hostname }));
      return;
    }
    const all = known.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    if (options?.all === true) callback(null, all);
    else callback(null, all[0].address, all[0].family);
  });
};
