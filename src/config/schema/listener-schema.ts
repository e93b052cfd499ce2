/** One listener of the long form. Part of the schema in schema.ts; what depends on others is checked in compile-listeners.ts. */
import path from 'node:path';
import { z } from 'zod';
import {
  addressBlock,
  fail,
  listenHost,
  orFalse,
  trueOrFalse,
  wholeNumber,
} from './schema-types.ts';
import { tlsOfListener } from './tls-schema.ts';

/** The system keeps the path of a socket in so many bytes, with a zero at its end. */
const LONGEST_PATH = 107;
/** It is opened under a name like this in its folder, and then renamed: see the data plane's listen/socket-file.ts. */
const LONGEST_OWN_NAME = '.fairlead-00000000'.length;

/** What is wrong with the length of an absolute path; null: nothing. */
export function lengthFault(file: string): string | null {
  const mostOfFolder = LONGEST_PATH - 1 - LONGEST_OWN_NAME;
  const folder = Buffer.byteLength(path.dirname(file));
  const whole = Buffer.byteLength(file);
  if (whole > LONGEST_PATH) {
    return `the path of a socket may have ${LONGEST_PATH} bytes, and ${file} has ${whole}`;
  }
  if (folder <= mostOfFolder) return null;
  return `the folder of a socket may have ${mostOfFolder} bytes, and that of ${file} has ${folder}`;
}

export const unixSocket = z
  .string({ error: 'must be the path of a socket, such as /run/fairlead.sock' })
  .transform((file, context): string => {
    if (file === '') return fail(context, 'must not be empty');
    if (file.includes('\0')) return fail(context, 'must not have a NUL in it');
    if (file.startsWith('@')) return fail(context, 'must be a path: abstract sockets have none');
    if (file.endsWith('/')) return fail(context, 'must be the path of a socket, not of a folder');
    return file;
  });

/** What systemd takes: without a colon, which is between names. */
const socketName = z
  .string({ error: 'must be the name of a socket, such as web' })
  .regex(/^[!-9;-~]{1,255}$/, {
    error: 'must be the name of a socket: visible ASCII without spaces and colons',
  });

const proxyPeer = z.union([z.literal('unix'), addressBlock()], {
  error: 'must be an IP address, a CIDR block such as 10.0.0.0/8, or unix',
});

export const socketMode = z
  .string({ error: 'must be octal digits in quotes, such as "0660"' })
  .transform((text, context): number => {
    if (/^0?[0-7]{3}$/.test(text)) return Number.parseInt(text, 8);
    return fail(context, `must be octal digits, such as "0660", not ${JSON.stringify(text)}`);
  });

const keys = {
  port: wholeNumber(1, 65_535).describe('The port that clients connect to.').optional(),
  host: listenHost()
    .describe('With `port`: the address; `*`: all addresses, IPv6 and IPv4. Default: `*`.')
    .optional(),
  unix: unixSocket
    .describe(
      'In the place of a port: the path of a unix socket, relative to the config file. One that is left behind by a process that ' +
        'is gone is replaced.',
    )
    .optional(),
  mode: socketMode
    .describe('With `unix`: who may connect, as for chmod, in quotes. Default: `"0660"`.')
    .optional(),
  fd: socketName
    .describe(
      'In the place of an address: the name of a socket that is open at the start (`LISTEN_FDNAMES`, of systemd ' +
        '`FileDescriptorName=`). One that listens on the address of another listener is taken for that one.',
    )
    .optional(),
  redirect_to_https: trueOrFalse()
    .describe(
      'Answer every request with 308 to the same host and path over https: at the listener with `tls` that has port 443, or else the ' +
        'first one. What a trusted proxy says came over https is served.',
    )
    .default(false),
  proxy_protocol: orFalse(
    z.strictObject(
      {
        from: z
          .array(proxyPeer, { error: 'must be a list of IP addresses, CIDR blocks, and unix' })
          .min(1, { error: 'must not be empty: nobody else is believed' })
          .describe(
            'The proxies: addresses and CIDR blocks; `unix`: whoever comes by a unix socket. They must send the header; what others ' +
              'send is a request.',
          ),
      },
      { error: 'must be a mapping, such as { from: [10.0.0.0/8] }' },
    ),
    'must be false, or a mapping, such as { from: [10.0.0.0/8] }',
  )
    .describe(
      'Proxies in front say who their client is in a PROXY protocol header, version 1 or 2, before TLS and before the first ' +
        'request. Its address is then the client’s in all that goes by one.',
    )
    .optional(),
  http2: trueOrFalse()
    .describe('With `tls`: clients may choose HTTP/2 (ALPN `h2`). Nearly all do.')
    .default(true),
  h2c: trueOrFalse()
    .describe(
      'Without `tls`: clients may begin with HTTP/2 (h2c by prior knowledge). What is upgraded to it (`Upgrade: h2c`) is not.',
    )
    .default(false),
  tls: tlsOfListener
    .describe('Speak TLS to clients. Without it the listener speaks in the clear.')
    .optional(),
};

export const listener = z
  .strictObject(keys, { error: 'must be a mapping, such as { port: 8080 }' })
  .superRefine((one, context) => {
    const report = (message: string, at?: string): void => {
      context.addIssue({ code: 'custom', message, ...(at !== undefined && { path: [at] }) });
    };
    const given = (['port', 'unix', 'fd'] as const).filter((key) => one[key] !== undefined);
    const [first, second] = given;
    if (first === undefined) {
      report('must have a port, the path of a unix socket, or the name of one that is open (fd)');
    }
    if (second !== undefined) {
      report(`must not stand beside ${first}: a listener has one address`, second);
    }
    if (one.port === undefined && Object.hasOwn(one, 'host')) report('is of a port', 'host');
    if (one.h2c && one.tls !== undefined) {
      report('is of a listener that does not speak TLS: there, HTTP/2 is chosen (http2)', 'h2c');
    }
    if (one.unix === undefined && one.mode !== undefined) {
      report('is of a unix socket', 'mode');
    }
  });
