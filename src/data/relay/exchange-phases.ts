/** Where an exchange is. In order: what comes later is greater. */
export const Phase = {
  /** Whether it may begin is being found out: see admission.ts. */
  CHECKING: 0,
  /** A body of unknown length gathers before anything is sent. */
  HOLDING: 1,
  /** For a backend with room, or for the time of the next attempt. */
  WAITING: 2,
  CONNECTING: 3,
  /** The request is on its way; no final response head yet. */
  SENDING: 4,
  RESPONDING: 5,
  TUNNEL: 6,
  OVER: 7,
} as const;

export type Phase = (typeof Phase)[keyof typeof Phase];
