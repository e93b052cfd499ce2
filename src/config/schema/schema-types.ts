/**
 * The kinds of value that a config holds, as zod schemas. Each says what it must be in a sentence that continues
 * "port: …"; what was found instead is added by issues.ts. Output types are those of settings.ts: milliseconds, bytes.
 */
import { z } from 'zod';
import { parseBackendUrl, shownUrl } from '../values/backend-url.ts';
import { DURATION_PATTERN, formatDuration, parseDuration } from '../values/duration.ts';
import { isHostFieldValue, parseCidr, parseListenHost } from '../values/network-address.ts';
import { parseSize, SIZE_PATTERN } from '../values/size.ts';

/** Reports a problem in a transform, with the hint where issues.ts finds it. */
export function fail(context: z.RefinementCtx, message: string, hint?: string): never {
  context.issues.push({
    code: 'custom',
    message,
    input: context.value,
    ...(hint === undefined ? {} : { params: { hint } }),
  });
  return z.NEVER;
}

export function wholeNumber(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.number({ error }).int({ error }).min(min, { error }).max(max, { error });
}

export function trueOrFalse() {
  return z.boolean({ error: 'must be true or false' });
}

export function oneOf<const Names extends readonly string[]>(names: Names) {
  return z.enum(names, { error: `must be one of ${names.join(', ')}` });
}

/** Milliseconds. `minMs` 0 allows `0s`. */
export function duration(minMs = 1) {
  return z
    .string({ error: 'must be a duration with a unit, such as 500ms, 30s or 1m30s' })
    .meta({ pattern: DURATION_PATTERN })
    .transform((text, context): number => {
      const result = parseDuration(text);
      if (!result.ok) return fail(context, result.reason, result.hint);
      if (result.ms < minMs) return fail(context, `must be at least ${formatDuration(minMs)}`);
      return result.ms;
    });
}

/** Bytes. */
export function size(min: number, max: number) {
  const range = `must be from ${min} to ${max} bytes`;
  const error = 'must be a size, such as 65536, 64KiB or 1MB';
  const withUnit = z
    .string()
    .meta({ pattern: SIZE_PATTERN })
    .transform((value, context): number => {
      const result = parseSize(value);
      if (!result.ok) return fail(context, result.reason, result.hint);
      if (result.bytes < min || result.bytes > max) return fail(context, range);
      return result.bytes;
    });
  const bytes = z.number().int({ error }).min(min, { error: range }).max(max, { error: range });
  return z.union([bytes, withUnit], { error });
}

/** `false` as another way to write 0, where 0 means "none". */
export function orNone<Inner extends z.ZodType<number>>(inner: Inner, error: string) {
  return z.union([z.literal(false).transform(() => 0), inner], { error });
}

/** Milliseconds; `false` and `0s` are 0, which means "none". */
export function durationOrNone() {
  return orNone(
    duration(0),
    'must be a duration with a unit, such as 500ms or 30s, or false for none',
  );
}

/** `false` where a whole policy can be off. */
export function orFalse<Mapping extends z.ZodType>(mapping: Mapping, error: string) {
  return z.union([z.literal(false), mapping], { error });
}

export function nonEmptyText(what: string) {
  const error = `must be ${what}`;
  return z.string({ error }).min(1, { error: 'must not be empty' });
}

export function requestPath() {
  return z.string({ error: 'must be a path, such as /health' }).transform((path, context) => {
    if (!path.startsWith('/')) return fail(context, 'must start with a slash', `write /${path}`);
    // It goes into a request line as it stands (RFC 9112 §3.2): visible ASCII, and a fragment is never sent.
    if (!/^[!-~]*$/.test(path) || path.includes('#')) {
      return fail(context, 'must be visible ASCII without spaces and without "#"');
    }
    return path;
  });
}

/** What a cookie's Path may be (RFC 6265 §4.1.1): it goes into a field as it stands. */
export function cookiePath() {
  return z.string({ error: 'must be a path, such as /shop' }).transform((path, context) => {
    if (!path.startsWith('/')) return fail(context, 'must start with a slash', `write /${path}`);
    if (!/^[!-:<-~]*$/.test(path)) {
      const what = 'must be visible ASCII without spaces and without ";"';
      return fail(context, `${what}, not ${JSON.stringify(path)}`);
    }
    return path;
  });
}

const DOMAIN =
  /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i;

/** What a cookie's Domain may be: clients pass a leading dot over (RFC 6265 §5.2.3), and an address has none below it. */
export function cookieDomain() {
  const what = 'must be a host name, such as example.com';
  return z.string({ error: what }).transform((value, context): string => {
    const domain = value.startsWith('.') ? value.slice(1) : value;
    const isAddress = /^[\d.]+$/.test(domain);
    return DOMAIN.test(domain) && !isAddress
      ? domain.toLowerCase()
      : fail(context, `${what}, not ${JSON.stringify(value)}`);
  });
}

/** `*` for all addresses comes out as undefined. */
export function listenHost() {
  const what = 'must be an IP address, a host name, or * for all addresses';
  return z.string({ error: what }).transform((value, context): string | undefined => {
    if (value === '*') return undefined;
    return parseListenHost(value) ?? fail(context, `${what}, not ${JSON.stringify(value)}`);
  });
}

export function adminHost() {
  const what = 'must be an IP address or a host name';
  return z.string({ error: what }).transform((value, context): string => {
    return parseListenHost(value) ?? fail(context, `${what}, not ${JSON.stringify(value)}`);
  });
}

/** What a Bearer header can carry. The text itself never goes into a message. */
export function secret(minLength = 1) {
  const error = minLength === 1 ? 'must not be empty' : `must have ${minLength} characters or more`;
  return z
    .string({ error: 'must be a text' })
    .min(minLength, { error })
    .regex(/^[!-~]*$/, { error: 'must be visible ASCII characters without spaces' })
    .meta({ writeOnly: true });
}

export function hostHeader() {
  const what = 'must be client, backend, or a host name with or without a port';
  return z.string({ error: what }).transform((value, context) => {
    if (value === 'client' || value === 'backend') return { kind: value } as const;
    if (!isHostFieldValue(value)) return fail(context, `${what}, not ${JSON.stringify(value)}`);
    return { kind: 'fixed', value } as const;
  });
}

/** A CIDR block; an address alone is a block of one. */
export function addressBlock() {
  const what = 'must be an IP address or a CIDR block, such as 10.0.0.0/8';
  return z.string({ error: what }).transform((value, context): string => {
    return parseCidr(value) ?? fail(context, `${what}, not ${JSON.stringify(value)}`);
  });
}

/** RFC 9110 §7.8: a name, and perhaps a version. Versions of HTTP are none: their requests would pass unseen. */
export function upgradeProtocol() {
  const what = 'must be the name of a protocol, such as websocket or tcp';
  return z.string({ error: what }).transform((value, context): string => {
    const protocol = value.toLowerCase();
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+(\/[!#$%&'*+.^_`|~0-9a-z-]+)?$/.test(protocol)) {
      return fail(context, `${what}, not ${JSON.stringify(value)}`);
    }
    if (protocol === '*') return fail(context, 'must name a protocol: there is no wildcard');
    if (/^(h2c?|http(\/.*)?)$/.test(protocol)) {
      return fail(context, `must not be ${value}: its requests would pass without being looked at`);
    }
    return protocol;
  });
}

export function backendUrl() {
  return z
    .string({ error: 'must be a URL, such as http://localhost:3001' })
    .transform((value, context) => {
      const result = parseBackendUrl(value);
      return result.ok ? result.address : fail(context, `${shownUrl(value)} ${result.reason}`);
    });
}

/** A file called "off" or "yes" is not what anybody who writes that wants. */
export function pathNotSwitch(hint: string) {
  return z
    .string()
    .min(1, { error: 'must not be empty' })
    .refine((path) => !/^(true|yes|on|1|false|no|off|none|0)$/i.test(path), {
      error: 'is not the path of a file',
      params: { hint },
    });
}
