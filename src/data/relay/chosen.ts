/**
 * How the backend of an attempt was chosen: see pick.ts.
 * - `pinned`: the client has a connection to it for itself (backend-pin.ts).
 * - `session`: the client's session is there, or begins there.
 * - `strategy`: by the pool's strategy.
 * - `function`: by the function `pick` of the program that we are a part of.
 * - `spare`: all of the eligible have failed the request.
 * - `hedge`: beside an attempt that is late; by the strategy, among those with room.
 * - `race`: after a keep-alive race, on a fresh connection; by session or strategy, as before.
 * - `idle`: by its idle connections, for want of a descriptor or a port for a new one.
 */
export type Chosen =
  | 'pinned'
  | 'session'
  | 'strategy'
  | 'function'
  | 'spare'
  | 'hedge'
  | 'race'
  | 'idle';
