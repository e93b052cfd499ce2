/**
 * What a configuration means once it is validated: the short form, the environment and the flags merged, defaults
 * filled in, durations in milliseconds, sizes in bytes, files read. The control plane runs on this and never sees
 * the text that it came from.
 */
import type {
  Forwarding,
  Limits,
  StrategyName,
  Timeouts,
  TlsMaterial,
} from '../snapshot/snapshot.ts';

export type HealthCheckMethod = 'http' | 'tcp' | 'auto';

export interface HealthCheckSettings {
  readonly method: HealthCheckMethod;
  /** Path and query of the GET, starting with a slash. */
  readonly path: string;
  readonly intervalMs: number;
  /** Used instead of `intervalMs` while a backend's state is unknown or changing. */
  readonly fastIntervalMs: number;
  readonly timeoutMs: number;
  /** Passing checks in a row that make an unhealthy backend healthy. */
  readonly rise: number;
  /** Failing checks in a row that make a healthy backend unhealthy. */
  readonly fall: number;
}

export interface BackendAddress {
  /** Normalised, see `parseBackendUrl` in backend-url.ts. */
  readonly url: string;
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  readonly authority: string;
}

/** Weights are whole numbers from 1 to this. */
export const MAX_WEIGHT = 1000;

export interface BackendSettings extends BackendAddress {
  readonly weight: number;
}

export interface AdminSettings {
  /** Loopback unless a token is set. */
  readonly host: string;
  readonly port: number;
  readonly token: string | undefined;
}

export interface Settings {
  /** Undefined: all addresses. */
  readonly host: string | undefined;
  readonly port: number;
  readonly admin: AdminSettings;
  /** Data threads as asked for; `auto` is settled at start by the platform. 0: in the caller's thread (library mode). */
  readonly threads: number | 'auto';
  readonly tls: (TlsMaterial & { readonly certFile: string; readonly keyFile: string }) | undefined;
  readonly strategy: StrategyName;
  readonly backends: readonly BackendSettings[];
  readonly maxConnections: number;
  readonly healthCheck: HealthCheckSettings;
  readonly timeouts: Timeouts;
  /** How long a shutdown waits for requests in flight. */
  readonly drainMs: number;
  readonly limits: Limits;
  readonly forwarding: Forwarding;
  /** `false`: off; `stdout`; or the path of a file that lines are appended to. */
  readonly accessLog:
    | false
    | {
        readonly target: 'stdout' | { readonly file: string };
        readonly format: 'json' | 'combined';
      };
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** Where changes made through the admin API are kept; undefined: nowhere. */
  readonly stateFile: string | undefined;
  /** The config file in use, if any: absolute path. */
  readonly configFile: string | undefined;
}

export type ValueOrigin = 'default' | 'file' | 'environment' | 'flag';
