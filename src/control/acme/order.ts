/**
 * An order of one name, from `newOrder` to the chain of its certificate: RFC 8555 §7.4. What the authority says is looked at again at each
 * step: an order that was begun before a stop goes on where it is, and an authorization that is good already asks for nothing.
 */
import { z } from 'zod';
import type { ChallengeKind } from '../../config/acme-settings.ts';
import { AcmeProblem, problemOf } from './acme-problem.ts';
import type { Authority, Said } from './authority.ts';
import { certificateRequest } from './certificate-request.ts';

const FIRST_POLL_MS = 500;
const LONGEST_POLL_MS = 10_000;
/** Of a validation: who takes the answer away before an authority has looked for it fails each time. Other names wait meanwhile. */
const LONGEST_VALIDATION_MS = 5 * 60_000;
/** Of another step, such as signing: what is under way goes on with the next try, where it is then. */
const LONGEST_STEP_MS = 90_000;

const ORDER = z.object({
  status: z.string(),
  authorizations: z.array(z.url()).min(1).max(10),
  finalize: z.url(),
  certificate: z.url().optional(),
  error: z.unknown().optional(),
});
const CHALLENGE = z.object({
  type: z.string(),
  status: z.string(),
  url: z.url(),
  token: z
    .string()
    .regex(/^[\w-]{16,512}$/)
    .optional(),
  error: z.unknown().optional(),
});
const AUTHORIZATION = z.object({
  status: z.string(),
  challenges: z.array(z.looseObject({ type: z.string() })),
});

type Order = z.output<typeof ORDER>;

/** What has to outlive a stop: without it, a certificate would be signed that nobody has the key of. */
export interface BegunOrder {
  readonly url: string;
  /** PEM: of the certificate. */
  readonly key: string;
}

/** Answers challenges. */
export interface Prover {
  /** Resolves when the authority may ask. @returns takes the answer away again; never rejects. */
  present(token: string, authorization: string): Promise<() => Promise<void>>;
}

export interface OrderOptions {
  readonly authority: Authority;
  readonly name: string;
  readonly challenge: ChallengeKind;
  readonly prover: Prover;
  readonly pause: (ms: number) => Promise<void>;
  readonly nowMs: () => number;
}

/** @param replaces the certificate that this one is for, as RFC 9773 §4.1 calls it. @throws Error, AcmeProblem @returns its URL */
export async function newOrder(
  { authority, name }: OrderOptions,
  replaces: string | undefined,
): Promise<string> {
  const { newOrder: url, renewalInfo } = await authority.directory();
  const identifiers = [{ type: 'dns', value: name }];
  const make = (more: object): Promise<Said> => authority.post(url, { identifiers, ...more });
  let said: Said;
  if (renewalInfo === undefined || replaces === undefined) said = await make({});
  else {
    try {
      said = await make({ replaces });
    } catch (error) {
      // RFC 9773 §5: it has been replaced already, or the authority knows nothing of it. Nothing else depends on that.
      const isOfThat =
        error instanceof AcmeProblem &&
        /^(alreadyReplaced|malformed|unauthorized)$/.test(error.kind);
      if (!isOfThat) throw error;
      said = await make({});
    }
  }
  if (said.location === '') throw new Error(`${url}: it does not say where the order is`);
  return said.location;
}

/** @throws Error, AcmeProblem @returns PEM: the certificate and its chain */
export async function completeOrder(options: OrderOptions, begun: BegunOrder): Promise<string> {
  const { authority, name } = options;
  let order = orderIn(begun.url, await authority.post(begun.url, null));
  if (order.status === 'pending') {
    for (const url of order.authorizations) await authorize(options, url);
    order = await settled(options, begun.url, ['pending']);
  }
  if (order.status === 'ready') {
    const csr = certificateRequest(name, begun.key);
    order = orderIn(order.finalize, await authority.post(order.finalize, { csr }));
  }
  if (order.status === 'processing' || order.status === 'ready') {
    order = await settled(options, begun.url, ['processing', 'ready']);
  }
  if (order.status !== 'valid' || order.certificate === undefined) {
    throw problemOf(order.error, `the order is ${order.status}`);
  }
  const { text } = await authority.post(order.certificate, null);
  return text;
}

async function authorize(options: OrderOptions, url: string): Promise<void> {
  const { authority, challenge: kind, prover } = options;
  const read = async (): Promise<z.output<typeof AUTHORIZATION>> =>
    understood(AUTHORIZATION, url, (await authority.post(url, null)).body);
  const found = await read();
  if (found.status === 'valid') return;
  const offered = found.challenges.find(({ type }) => type === kind);
  if (offered === undefined) {
    const kinds = found.challenges.map(({ type }) => type).join(', ');
    throw new AcmeProblem(`the authority offers ${kinds} for ${options.name}, and not ${kind}`, '');
  }
  const { token, url: challengeUrl } = understood(CHALLENGE, url, offered);
  if (token === undefined) throw new Error(`${url}: a challenge without a token`);
  const takeAway = await prover.present(token, authority.key.authorizationOf(token));
  try {
    await authority.post(challengeUrl, {});
    const isDone = ({ status }: z.output<typeof AUTHORIZATION>) => status !== 'pending';
    const done = await until({ ...options, longestMs: LONGEST_VALIDATION_MS }, url, read, isDone);
    if (done.status === 'valid') return;
    const failed = done.challenges.find(({ type }) => type === kind);
    throw problemOf(failed?.['error'], `the authorization of ${options.name} is ${done.status}`);
  } finally {
    await takeAway();
  }
}

function settled(options: OrderOptions, url: string, isOpen: readonly string[]): Promise<Order> {
  const read = async (): Promise<Said> => options.authority.post(url, null);
  let retryMs: number | undefined;
  return until(
    options,
    url,
    async () => {
      const said = await read();
      retryMs = said.retryAfterMs;
      return orderIn(url, said);
    },
    ({ status }) => !isOpen.includes(status),
    () => retryMs,
  );
}

async function until<Value>(
  { pause, nowMs, longestMs = LONGEST_STEP_MS }: OrderOptions & { readonly longestMs?: number },
  url: string,
  read: () => Promise<Value>,
  isDone: (value: Value) => boolean,
  wantedMs: () => number | undefined = () => undefined,
): Promise<Value> {
  const deadline = nowMs() + longestMs;
  for (let pauseMs = FIRST_POLL_MS; ; pauseMs = Math.min(LONGEST_POLL_MS, pauseMs * 1.5)) {
    const value = await read();
    if (isDone(value)) return value;
    if (nowMs() > deadline)
      throw new Error(`${url}: nothing has come of it within ${longestMs / 1000} s`);
    await pause(Math.min(LONGEST_POLL_MS, wantedMs() ?? pauseMs));
  }
}

function orderIn(url: string, { body }: Said): Order {
  return understood(ORDER, url, body);
}

function understood<Schema extends z.ZodType>(
  schema: Schema,
  url: string,
  body: unknown,
): z.output<Schema> {
  const read = schema.safeParse(body);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new Error(
    `${url}: it says what ACME does not know: ${issue?.path.join('.')}: ${issue?.message}`,
  );
}
