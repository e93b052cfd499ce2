/**
 * Literals that came before (thread-wide): the same bytes are the same field, whatever connection they come on. Fixed in size: what
 * is not met again goes. Each decoder takes it; one per thread is meant.
 */
export class FieldCache {}
