/** What the admin API answers, as far as this page looks at it: see docs/admin-api.md. */

export interface BackendTotals {
  readonly id: number;
  readonly url: string;
  readonly weight: number;
  readonly effective_weight: number;
  readonly backup: boolean;
  readonly alive: boolean;
  readonly eligible: boolean;
  readonly why: string;
  readonly state: 'enabled' | 'draining' | 'disabled';
  readonly health: 'unknown' | 'healthy' | 'unhealthy';
  readonly breaker: 'closed' | 'open' | 'half-open';
  readonly ejected_until: string | null;
  readonly conns: number;
  readonly open_connections: number;
  readonly requests: number;
  readonly errors: number;
  readonly server_errors: number;
  readonly latency_ms: number;
  readonly last_check: string | null;
  readonly last_change: string;
  readonly reason: string | null;
  readonly hint?: string;
  readonly source: 'config' | 'api' | 'discovery';
  readonly kept?: false;
  readonly drained?: boolean;
  readonly draining?: { readonly deadline: string | null; readonly in_flight: number };
}

export type Counts = Readonly<Record<string, number>>;

export interface PoolTotals {
  readonly name: string;
  readonly routed: boolean;
  readonly strategy: string;
  readonly strategy_source: 'config' | 'api';
  readonly panic: boolean;
  readonly breaker: string;
  readonly queued: number;
  readonly statuses: Counts;
  readonly durations: readonly number[];
  readonly backends: readonly BackendTotals[];
}

export interface Leaving {
  readonly id: number;
  readonly pool: string;
  readonly url: string;
  readonly in_flight: number;
  readonly tunnels: number;
}

export interface Totals {
  readonly version: string;
  readonly pid: number;
  readonly uptime_seconds: number;
  readonly generation: number;
  readonly client_connections: number;
  readonly duration_bounds_seconds: readonly number[];
  readonly statuses: Counts;
  readonly errors: Counts;
  readonly pools: readonly PoolTotals[];
  readonly left_out: { readonly pools: number; readonly backends: number };
  readonly leaving: readonly Leaving[];
}

export interface Whoami {
  readonly role: 'viewer' | 'operator';
  readonly token: string | null;
  readonly version: string;
}

export interface KeptSummary {
  readonly id: string;
  readonly time: string;
  readonly client: string;
  readonly method: string | null;
  readonly host: string | null;
  readonly path: string | null;
  readonly status: number;
  readonly ended: string | null;
  readonly error: string | null;
  readonly phase: string;
  readonly duration_ms: number;
  readonly pool: string;
  readonly backend: string | null;
}

interface Attempt {
  readonly backend: string;
  readonly protocol: string;
  readonly reused: boolean;
  readonly chosen_by: string;
  readonly status: number | null;
  readonly outcome: string;
  readonly duration_ms: number;
}

export interface KeptRequest extends KeptSummary {
  readonly protocol: string | null;
  readonly route: string | null;
  readonly bytes_in: number;
  readonly bytes_out: number;
  readonly queue_ms: number | null;
  readonly connect_ms: number | null;
  readonly first_byte_ms: number | null;
  readonly error_source: string | null;
  readonly error_detail: string | null;
  readonly attempts: readonly Attempt[];
  readonly no_retry: string | null;
  readonly hint: string | null;
  readonly thread: number;
}

export interface Candidate {
  readonly id: number;
  readonly url: string;
  readonly picked: boolean;
  readonly role: string;
  readonly weight: number;
  readonly in_flight: number;
  readonly why: string;
}

export interface Explanation {
  readonly summary: string;
  readonly routes: readonly {
    readonly name: string;
    readonly matches: boolean;
    readonly why: string;
  }[];
  readonly pool: {
    readonly name: string;
    readonly strategy: string;
    readonly candidates: readonly Candidate[];
  } | null;
}

export interface RouteView {
  readonly name: string;
  readonly pools: readonly string[];
  readonly config: Readonly<Record<string, unknown>>;
}

export interface ListenerView {
  readonly id: number;
  readonly name: string;
  readonly url: string;
  readonly tls: boolean;
  readonly http2: boolean;
  readonly redirects_to_https: boolean;
  readonly proxy_protocol: boolean;
}

export interface CertificateView {
  readonly listener: string;
  readonly names: readonly string[];
  readonly served_names: readonly string[];
  readonly default: boolean;
  readonly not_before: string;
  readonly not_after: string;
  readonly days_left: number;
  readonly subject: string;
  readonly issuer: string;
  readonly key_type: string;
  readonly cert_file: string;
  readonly fingerprint_sha256: string;
  readonly stapled: boolean;
}

export interface Certificates {
  readonly certificates: readonly CertificateView[];
  readonly faults: readonly { readonly file: string; readonly message: string }[];
  readonly acme: readonly FetchedView[];
}

/** A certificate that is fetched from an authority. */
export interface FetchedView {
  readonly name: string;
  readonly ca: string;
  readonly challenge: string;
  readonly state: 'good' | 'awaited' | 'ordering' | 'failing';
  readonly renew_at: string | null;
  readonly next_try: string | null;
  readonly failures: number;
  readonly problem: { readonly detail: string; readonly hint: string | null } | null;
}

export interface ConfigInForce {
  readonly config: Readonly<Record<string, unknown>>;
  readonly origins: Readonly<Record<string, string>>;
  readonly notes?: readonly string[];
}

export interface Override {
  readonly pool: string;
  readonly value: string;
  readonly backend: string | null;
  readonly api: string | number | boolean;
  readonly config: string | number | boolean | null;
}

export interface Problem {
  readonly path: string;
  readonly message: string;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  readonly hint?: string;
}

export interface ConfigChanges {
  readonly changed: boolean;
  readonly changes: readonly {
    readonly path: string;
    readonly change: 'added' | 'removed' | 'changed' | 'moved';
    readonly before?: unknown;
    readonly after?: unknown;
  }[];
  readonly changes_left_out: number;
  readonly needs_restart: readonly string[];
  readonly refused: readonly Problem[];
  readonly overrides: readonly Override[];
  readonly notes: readonly string[];
}

/** A line of the log; what else stands in it depends on the event. */
export interface Happening {
  readonly level: string;
  readonly time: string;
  readonly event: string;
  readonly msg?: string;
  readonly [field: string]: unknown;
}
