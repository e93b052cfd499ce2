/** Preloaded into Fairlead: DNS is asked of the server in `TEST_DNS`, and of no other; nor does the system know a name below `.test`. */
import dns from 'node:dns';

dns.setServers([process.env['TEST_DNS']]);
const { lookup } = dns.promises;

dns.promises.lookup = (host, options) => {
  if (!host.endsWith('.test')) return lookup(host, options);
  const error = new Error(`getaddrinfo ENOTFOUND ${host}`);
  return Promise.reject(Object.assign(error, { code: 'ENOTFOUND' }));
};
