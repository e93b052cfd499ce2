/** Where an exchange is. Numbers in order: what comes later is greater. */

/** A chunked body gathers before anything is sent. */
export const IS_HOLDING = 0;
/** For a backend with room, or for the time of the next attempt. */
export const IS_WAITING = 1;
export const IS_CONNECTING = 2;
/** The request is on its way; no final response head yet. */
export const IS_SENDING = 3;
export const IS_RESPONDING = 4;
export const IS_TUNNEL = 5;
export const IS_OVER = 6;
