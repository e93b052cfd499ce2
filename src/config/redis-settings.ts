/** What `cluster.redis` of the config means. */

/** The server that counts for all instances. */
export interface RedisSettings {
  /** With neither a name nor a password. */
  readonly url: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Absolute; undefined: it stands in the config, or there is none. */
  readonly passwordFile: string | undefined;
  /** Of all keys. */
  readonly prefix: string;
  /** What the files hold. */
  readonly tls: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly servername?: string;
  };
  /** By their keys in the config; absolute. */
  readonly files: Readonly<Record<string, string>>;
}
