/** The static table of HPACK (RFC 7541 appendix A). */
import { type Field, fieldOf } from './field.ts';

/** From index 1 on: a name, or a name and its value. */
const ENTRIES = `
  :authority
  :method GET
  :method POST
  :path /
  :path /index.html
  :scheme http
  :scheme https
  :status 200
  :status 204
  :status 206
  :status 304
  :status 400
  :status 404
  :status 500
  accept-charset
  accept-encoding gzip, deflate
  accept-language
  accept-ranges
  accept
  access-control-allow-origin
  age
  allow
  authorization
  cache-control
  content-disposition
  content-encoding
  content-language
  content-length
  content-location
  content-range
  content-type
  cookie
  date
  etag
  expect
  expires
  from
  host
  if-match
  if-modified-since
  if-none-match
  if-range
  if-unmodified-since
  last-modified
  link
  location
  max-forwards
  proxy-authenticate
  proxy-authorization
  range
  referer
  refresh
  retry-after
  server
  set-cookie
  strict-transport-security
  transfer-encoding
  user-agent
  vary
  via
  www-authenticate`;

/** By index; 0 is none, and stands here so that the array has no hole. */
export const STATIC_FIELDS: readonly Field[] = [
  fieldOf('', ''),
  ...ENTRIES.trim()
    .split('\n')
    .map((entry) => {
      const [name = '', ...value] = entry.trim().split(' ');
      return fieldOf(name, value.join(' '));
    }),
];

/** The first index of the dynamic table. */
export const FIRST_DYNAMIC = STATIC_FIELDS.length;

/** The first index of each name. */
export const STATIC_NAMES: ReadonlyMap<string, number> = new Map(
  STATIC_FIELDS.map(({ name }, index): [string, number] => [name, index])
    .slice(1)
    .toReversed(),
);
