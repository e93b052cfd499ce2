/**
 * `routes.mjs [look-ups]`: in the route table of the built Fairlead, by heads that it has parsed. Needs --expose-gc.
 * Prints `[{"hosts", "routes", "ns", "bytes", "normalNs", "compileMs"}]`; `normalNs`: the path is brought into its normal form first.
 */
import { RouteTable } from '../../build/data/route/route-table.js';
import { HeadParser } from '../../build/data/wire/head-parser.js';
import { normalPath } from '../../build/data/wire/path.js';
import { readRequest } from '../../build/data/wire/request.js';
import { readRoutePath } from '../../build/snapshot/route-path.js';

const LOOKUPS = Number(process.argv[2] ?? 1_000_000);
const WARM_UP = 0.3 * LOOKUPS;
/** A power of two: taking turns over them costs a mask. */
const REQUESTS = 1024;

const RULES = { keepsEncodedSlashes: false, mergesSlashes: true };
const LIMITS = { requestLineBytes: 8192, headBytes: 32_768, fields: 100, isLenient: false };

/** What a site has: pages, an API in two versions, something for some clients only. */
const SITE = [
  { path: '/' },
  { path: '=/' },
  { path: '=/robots.txt' },
  { path: '/static/' },
  { path: '/api/v1/' },
  { path: '/api/v1/', methods: ['POST', 'PUT', 'DELETE'] },
  { path: '/api/v2/', headers: [{ name: 'x-beta', value: { kind: 'exact', text: '1' } }] },
  { path: '/users/:id/photos' },
  { path: '/admin/reports', query: [{ name: 'preview', value: { kind: 'present' } }] },
  { path: '/.well-known/acme-challenge/' },
];

/** Of a request each, and the route of a site that it is for. */
const ASKED = [
  ['/', 1],
  ['/static/js/main.7f3a9c.js', 3],
  ['/api/v1/orders/4711?expand=items', 4],
  ['/api/v2/orders/4711', 6],
  ['/users/4711/photos', 7],
  ['/admin/reports?from=2026-01-01&preview=1', 8],
  ['/blog/2026/a-page-with-a-name', 0],
  ['/robots.txt', 2],
];

function matchOf(route, hosts) {
  const match = { hosts, methods: [], headers: [], query: [], ...route };
  return { match: { ...match, path: readRoutePath(route.path) } };
}

/** One host that has many routes, or many that have a few. */
function routesOf(hosts, count) {
  const extra = Array.from({ length: Math.max(0, count - SITE.length) }, (_, index) => ({
    path: `/services/${index % 7}/number-${index}/`,
  }));
  return hosts.flatMap((host) => [...SITE, ...extra].map((route) => matchOf(route, [host])));
}

/** As a browser sends it. */
function headOf(host) {
  const bytes = Buffer.from(
    `GET / HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html\r\nAccept-Language: en\r\nX-Beta: 1\r\nConnection: keep-alive\r\n\r\n`,
  );
  const head = new HeadParser('request', LIMITS);
  head.parse(bytes, 0, bytes.length);
  return head;
}

/** A text of its own, as it is when it was cut from a head. */
function own(text) {
  return Buffer.from(text, 'latin1').latin1Slice(0, text.length);
}

/** Of hosts without any order, so that memory is not read in turn. */
function requestsOf(hosts, count) {
  const head = headOf(hosts[0]);
  return Array.from({ length: REQUESTS }, (_, index) => {
    const host = (index * 611) % hosts.length;
    const [path, route] = ASKED[index % ASKED.length];
    const facts = {
      ...readRequest(head, { viaName: '', upgrades: [] }),
      host: own(hosts[host]),
      path: own(path),
    };
    return { facts, head, route: host * count + route };
  });
}

function lookUp(table, requests, count) {
  let found = 0;
  for (let turn = 0; turn < count; turn++) {
    const { facts, head } = requests[turn & (REQUESTS - 1)];
    found ^= table.find(facts, head, false);
  }
  return found;
}

function lookUpNormal(table, requests, count) {
  let found = 0;
  for (let turn = 0; turn < count; turn++) {
    const { facts, head } = requests[turn & (REQUESTS - 1)];
    // As it is for nearly all: the same string, so that nothing is copied.
    facts.path = normalPath(facts.path, RULES);
    found ^= table.find(facts, head, false);
  }
  return found;
}

/** The better of two runs: what happens once is no cost of a look-up. */
function timed(run, table, requests) {
  run(table, requests, WARM_UP);
  globalThis.gc();
  const runs = Array.from({ length: 2 }, () => {
    const heap = process.memoryUsage().heapUsed;
    const begin = process.hrtime.bigint();
    run(table, requests, LOOKUPS);
    const ns = Number(process.hrtime.bigint() - begin) / LOOKUPS;
    return { ns, bytes: Math.max(0, process.memoryUsage().heapUsed - heap) / LOOKUPS };
  });
  return {
    ns: Math.min(...runs.map(({ ns }) => ns)),
    bytes: Math.min(...runs.map(({ bytes }) => bytes)),
  };
}

function measure(hostCount, count) {
  const hosts = Array.from({ length: hostCount }, (_, index) => `shop-${index}.example.com`);
  const begin = performance.now();
  const table = RouteTable.compile(routesOf(hosts, count));
  const compileMs = performance.now() - begin;
  const requests = requestsOf(hosts, count);
  for (const { facts, head, route } of requests) {
    const { host, path } = facts;
    if (table.find(facts, head, false) !== route) throw new Error(`${host}${path}: wrong`);
  }
  const found = timed(lookUp, table, requests);
  const normal = timed(lookUpNormal, table, requests);
  const bytes = Math.max(found.bytes, normal.bytes);
  return { hosts: hostCount, routes: count, ns: found.ns, bytes, normalNs: normal.ns, compileMs };
}

const results = [
  [1, 10],
  [1, 1_000],
  [1_000, 10],
].map(([hosts, routes]) => measure(hosts, routes));
process.stdout.write(JSON.stringify(results));
