/**
 * The words that operators have for what they want: the same in calls and answers of the admin API, in the state file and in what
 * instances share. It knows nothing else, so that a page in a browser may know it as well.
 */

export const ADMIN_STATES = ['enabled', 'draining', 'disabled'] as const;
export type AdminState = (typeof ADMIN_STATES)[number];

/** Whether sessions stay with a backend that drains until its deadline, or leave it at once. */
export const SESSIONS_WHILE_DRAINING = ['keep', 'move'] as const;
export type SessionsWhileDraining = (typeof SESSIONS_WHILE_DRAINING)[number];

/** Values of the config that an operator may set otherwise, and give back. */
export const OVERRIDABLE = ['strategy', 'weight', 'backup'] as const;
export type Overridable = (typeof OVERRIDABLE)[number];
