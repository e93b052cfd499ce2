/** As much of `fetch` as the admin client uses, over a unix socket or with authorities of its own, which `fetch` knows nothing of. */
import http from 'node:http';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { checkServerIdentity, rootCertificates } from 'node:tls';

export interface AdminAnswer {
  readonly status: number;
  readonly ok: boolean;
  readonly body: AsyncIterable<Uint8Array> | null;
  text(): Promise<string>;
}

/** PEM. */
export interface AdminTls {
  /** Whose certificates are good, beside the ones that Node trusts. */
  readonly ca?: string;
  /** The certificate that is good whatever it is for. */
  readonly fingerprint?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface AdminCall {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly signal: AbortSignal;
}

const UNIX = 'unix:';

/** @param url of an admin API: `unix:/run/admin.sock`, or http or https. */
export function adminFetch(
  url: string,
  path: string,
  call: AdminCall,
  tls: AdminTls = {},
): Promise<AdminAnswer> {
  if (url.startsWith(UNIX)) {
    const options = { socketPath: url.slice(UNIX.length), path };
    return send(call, (init) => http.request({ ...options, ...init }));
  }
  const { fingerprint, ca, ...own } = tls;
  const options = {
    ...own,
    ...(ca !== undefined && { ca: [...rootCertificates, ca] }),
    // What is trusted need not have signed itself.
    allowPartialTrustChain: ca !== undefined,
    checkServerIdentity: (host: string, certificate: Parameters<typeof checkServerIdentity>[1]) =>
      fingerprint !== undefined && certificate.fingerprint256 === fingerprint
        ? undefined
        : checkServerIdentity(host, certificate),
  };
  return send(call, (init) => https.request(url + path, { ...options, ...init }));
}

function send(
  { body, headers, ...call }: AdminCall,
  open: (init: http.RequestOptions) => http.ClientRequest,
): Promise<AdminAnswer> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
    const request = open({ ...call, agent: false, headers: { ...headers, ...length } });
    request.once('error', reject);
    request.once('response', (response) => {
      const status = response.statusCode ?? 0;
      resolve({
        status,
        ok: status >= 200 && status < 300,
        body: response,
        text: () => text(response),
      });
    });
    request.end(body);
  });
}
