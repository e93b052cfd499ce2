/** The contract between the planes: what Fairlead answers itself where a route says so, who may ask there, and its error pages. */

/** An answer that is the same for everybody. */
export interface FixedAnswer {
  readonly status: number;
  /** Without those that follow from the status, the body and the time. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Its bytes as Latin-1 text; empty where the status allows none. */
  readonly body: string;
}

/** Stands in for the text of an error. */
export interface ErrorPage {
  readonly contentType: string;
  /** Its bytes as Latin-1 text. */
  readonly body: string;
}

/** By the status of the error. */
export type ErrorPages = ReadonlyMap<number, ErrorPage>;

/** A password as scrypt has made it (RFC 7914), checked: what computing it needs is bounded. */
export interface PasswordHash {
  /** As it is written: no two that differ in anything are the same. */
  readonly text: string;
  /** Of scrypt: N, r and p. */
  readonly cost: number;
  readonly blockSize: number;
  readonly parallelization: number;
  /** In base64. */
  readonly salt: string;
  readonly key: string;
}

/** HTTP Basic (RFC 7617). */
export interface BasicAuth {
  readonly realm: string;
  /** At least one; no two have the same name. */
  readonly users: readonly { readonly name: string; readonly hash: PasswordHash }[];
  /** The backend gets the credentials, too. */
  readonly forwardsAuthorization: boolean;
}

/** Which pages of other origins may ask: https://fetch.spec.whatwg.org/#http-cors-protocol. */
export interface Cors {
  /** Such as `https://example.com`, and `https://*.example.com` for all names below; empty: any. */
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  /** Names of header fields that they may send; null: any. */
  readonly headers: readonly string[] | null;
  /** And of those that they may read; null: any. */
  readonly exposed: readonly string[] | null;
  /** Cookies and the like come along. Only with origins. */
  readonly hasCredentials: boolean;
  /** How long a browser may go by the answer to a preflight; 0: as it likes. */
  readonly maxAgeSeconds: number;
}

/** Who may ask. */
export interface RouteAccess {
  /** CIDR blocks (`10.0.0.0/8`) that the client's address must be in one of; empty: any address. */
  readonly allow: readonly string[];
  /** And in none of these. */
  readonly deny: readonly string[];
  readonly basicAuth: BasicAuth | null;
}
