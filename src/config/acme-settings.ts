/** Certificates that are fetched and renewed over ACME (RFC 8555): what a listener says of them, validated. */

export type ChallengeKind = 'http-01' | 'tls-alpn-01' | 'dns-01';

/** A command that makes a record in DNS, and takes it away again. */
export interface DnsHook {
  /** A program and what it is called with; there is no shell. */
  readonly command: readonly string[];
  readonly timeoutMs: number;
  /** From its end until the record may be asked for. */
  readonly waitMs: number;
}

/** RFC 8555 §7.3.4: an account that the authority knows from elsewhere. */
export interface ExternalAccount {
  readonly keyId: string;
  /** In base64url. A secret. */
  readonly key: string;
}

export interface AcmeSettings {
  /** In lower case. Each gets a certificate of its own. */
  readonly names: readonly string[];
  /** Empty: none is told. */
  readonly email: string;
  readonly directoryUrl: string;
  /** Whose certificate the authority's own server has; absolute. Empty: the authorities that this machine trusts. */
  readonly caFile: string;
  readonly challenge: ChallengeKind;
  readonly dnsHook: DnsHook | null;
  readonly externalAccount: ExternalAccount | null;
  /** Null: only for `names`. */
  readonly onDemand: OnDemandSettings | null;
  /** Null: that of the cluster. */
  readonly store: AcmeStoreSettings | null;
}

/** Certificates for names that clients ask for, if somebody allows it. */
export interface OnDemandSettings {
  readonly askUrl: string;
  readonly timeoutMs: number;
  readonly mostNames: number;
  readonly mostOrdersPerHour: number;
}

/** Listeners with the same one share what is fetched on demand; null: nothing is. */
export function onDemandGroup({ directoryUrl, onDemand }: AcmeSettings): string | null {
  return onDemand === null ? null : `${directoryUrl} ${onDemand.askUrl}`;
}

/** Where one instance keeps accounts and certificates: the same for all listeners. */
export interface AcmeStoreSettings {
  /** Absolute. */
  readonly file: string;
  /** What is kept is sealed with the keys in this file; empty: see `key`. */
  readonly keyFile: string;
  /** Or with this one; empty: nothing is sealed. A secret. */
  readonly key: string;
}

/** Of one certificate: the same name at another authority is another one. */
export function issueKey(
  { directoryUrl }: Pick<AcmeSettings, 'directoryUrl'>,
  name: string,
): string {
  return `${directoryUrl} ${name}`;
}
