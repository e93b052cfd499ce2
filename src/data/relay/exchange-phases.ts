/** Where an exchange is. In order: what comes later is greater. */
export const Phase = {
  /** A chunked body gathers before anything is sent. */
  HOLDING: 0,
  /** For a backend with room, or for the time of the next attempt. */
  WAITING: 1,
  CONNECTING: 2,
  /** The request is on its way; no final response head yet. */
  SENDING: 3,
  RESPONDING: 4,
  TUNNEL: 5,
  OVER: 6,
} as const;

export type Phase = (typeof Phase)[keyof typeof Phase];
