/** The types of a config that is written in TypeScript. */
import type { z } from 'zod';
import type { embeddedSchema } from '../config/schema/embedded-schema.ts';
import type { configSchema } from '../config/schema/schema.ts';

/** What a config file may hold, `fairlead.config.ts` among them: see docs/configuration.md. */
export type Config = z.input<typeof configSchema>;

type Embedded = z.input<typeof embeddedSchema>;

/**
 * What a proxy may be created with: the same, and `port` and `admin_port` may be 0 (any that is free), `threads` may be 0 (the
 * caller's own, which is the default), and `admin` may be false. Nothing is read from the environment.
 */
export type ProxyConfig = Omit<Embedded, 'admin'> & {
  /** false: there is no admin API. */
  readonly admin?: false | Embedded['admin'];
};

/** Gives the config back as it is: for the types alone. */
export function defineConfig(config: Config): Config {
  return config;
}
