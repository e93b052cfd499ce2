/**
 * Lines of HTTP/1.1 heads that came before, with their HPACK (thread-wide). Fixed in size. Each encoder takes one: one per thread
 * for the requests to backends, and one for the responses to clients.
 */
export class HeadLines {}
