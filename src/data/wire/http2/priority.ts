/** Extensible priorities (RFC 9218 §4): of a Priority field, or a PRIORITY_UPDATE. */
export const DEFAULT_URGENCY = 3;

/** 0 (most urgent) to 7; DEFAULT_URGENCY where nothing, or nothing valid, is said. */
export declare function urgencyOf(priority: string): number;

/** Whether its parts are of use one by one, so that it may share with others of the same urgency. */
export declare function isIncremental(priority: string): boolean;
