/** The library: `import { createProxy, defineConfig } from 'fairlead'`. */
export type { Problem as ConfigProblem } from './config/problem.ts';
export type { AskedRequest, HookAnswer, PickCandidate } from './data/relay/hooks.ts';
export { type Config, defineConfig, type ProxyConfig } from './library/config.ts';
export {
  createProxy,
  type Proxy,
  type ProxyOptions,
  type ProxyPools,
  type ReloadResult,
} from './library/create-proxy.ts';
export { ConfigError, ProxyError } from './library/errors.ts';
export type { ProxyEvent, ProxyEventName, ProxyListener } from './library/events.ts';
export type {
  AddOptions,
  BackendName,
  DrainOptions,
  ProxyBackend,
  ProxyPool,
  RemoveOptions,
} from './library/proxy-pool.ts';
