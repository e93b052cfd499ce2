/** What an authority says when it refuses something (RFC 8555 §6.7, RFC 9457), and what is to be changed then. */
import { z } from 'zod';

const PREFIX = 'urn:ietf:params:acme:error:';
const LONGEST_DETAIL = 500;

const identifier = z.object({ value: z.string() }).optional();
const DOCUMENT = z.object({
  type: z.string().optional(),
  detail: z.string().optional(),
  subproblems: z
    .array(z.object({ type: z.string().optional(), detail: z.string().optional(), identifier }))
    .optional(),
});

/** By the names of RFC 8555 §6.7. */
const HINTS: Readonly<Record<string, string>> = {
  accountDoesNotExist: 'the account is made anew with the next try',
  caa: 'a CAA record of the name forbids this authority: change it, or name another one (ca)',
  connection:
    'the authority could not connect to the address that the name has: does it lead here, and is the port open to all (80 for http-01, 443 for tls-alpn-01)?',
  dns: 'the name could not be looked up: has it an A or AAAA record, and does its DNSSEC hold?',
  externalAccountRequired: 'the authority wants an account that it knows: set external_account',
  incorrectResponse:
    'something else has answered in our place: does the name lead here, and its AAAA record, too? For dns-01: has the record had time (dns_hook.wait)?',
  invalidContact: 'the authority does not like the address: change email',
  malformed: 'the authority did not understand us, or is no ACME server: look at ca',
  rateLimited:
    'there were too many orders or failures: it is tried again when the authority says so; staging has other limits',
  rejectedIdentifier: 'the authority does not sign this name: take it out of names',
  tls: 'the handshake at port 443 failed: is something else in front that ends TLS? Use http-01 or dns-01 then',
  unauthorized:
    'the authority reached something else in our place: does the name lead here, and its AAAA record, too? For dns-01: is the record there?',
  unsupportedIdentifier: 'the authority does not sign such names: take it out of names',
  userActionRequired: 'the authority wants somebody to read something first: see its words',
};

export class AcmeProblem extends Error {
  /** The name from RFC 8555 §6.7; empty: it is none of these. */
  readonly kind: string;
  /** 0: it came with an authorization or an order. */
  readonly status: number;
  /** When the authority wants to be asked again; undefined: it does not say. */
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    kind: string,
    {
      status = 0,
      retryAfterMs,
    }: { readonly status?: number; readonly retryAfterMs?: number | undefined } = {},
  ) {
    super(message);
    this.name = 'AcmeProblem';
    this.kind = kind;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }

  /** Empty: nothing is known that would help. */
  get hint(): string {
    return HINTS[this.kind] ?? '';
  }
}

/** @param document as it came: anything. @param otherwise what is said where it says nothing. */
export function problemOf(
  document: unknown,
  otherwise: string,
  more: { readonly status?: number; readonly retryAfterMs?: number | undefined } = {},
): AcmeProblem {
  const read = DOCUMENT.safeParse(document);
  if (!read.success) return new AcmeProblem(otherwise, '', more);
  const { type, detail, subproblems = [] } = read.data;
  const [first] = subproblems;
  const parts = subproblems.map((one) =>
    [one.identifier?.value, one.detail].filter((part) => part !== undefined).join(': '),
  );
  const said = oneLine([detail, ...parts].filter((part) => part !== undefined).join('; '));
  // A compound problem says of each name what is wrong with it (RFC 8555 §6.7.1); we ask for one.
  const kind =
    kindOf(type) === '' || kindOf(type) === 'compound' ? kindOf(first?.type) : kindOf(type);
  return new AcmeProblem(said === '' ? otherwise : said, kind, more);
}

function kindOf(type: string | undefined): string {
  return type?.startsWith(PREFIX) === true ? type.slice(PREFIX.length) : '';
}

/** It goes into the log. */
function oneLine(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\s]+/gu, ' ')
    .trim()
    .slice(0, LONGEST_DETAIL);
}
