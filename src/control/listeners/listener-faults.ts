/** Says in the log that clients of a listener do not speak as they should: see once-a-minute.ts. */
import { formatDuration } from '../../config/values/duration.ts';
import type { Logger } from '../../observe/logger.ts';
import type { Http2FaultMessage, NoProxyHeaderMessage } from '../../snapshot/messages.ts';
import { OnceAMinute } from './once-a-minute.ts';

/** Listed proxies that send no PROXY header. */
export function proxyFaultLog(log: Logger): OnceAMinute<NoProxyHeaderMessage> {
  return new OnceAMinute(({ listener, peer, came, waitedMs }, count) => {
    const who = peer === '' ? 'a client of the unix socket' : peer;
    const what = came === '' ? 'nothing' : `"${came}"`;
    const said =
      waitedMs === 0
        ? `said ${what} where a PROXY header begins`
        : `sent no whole PROXY header within ${formatDuration(waitedMs)} (timeouts.head), but ${what}`;
    const more =
      count === 1 ? 'its connection was closed' : `${count} such connections were closed`;
    log.warn(
      'listener.no_proxy_header',
      `${listener}: ${who} is listed in proxy_protocol.from and ${said}; ${more}`,
      { listener, peer: peer === '' ? 'unix' : peer, came, count },
    );
  });
}

/** Clients that break the rules of HTTP/2, or cost more than they may. */
export function http2FaultLog(log: Logger): OnceAMinute<Http2FaultMessage> {
  return new OnceAMinute(({ listener, peer, code, error, rule }, count) => {
    const who = peer === '' ? 'a client of the unix socket' : peer;
    const what =
      code === 'ERR_CLIENT_FLOOD' ? 'costs more than it may' : 'breaks the rules of HTTP/2';
    const more =
      count === 1 ? 'its connection was ended' : `${count} connections were ended for the like`;
    log.warn('listener.client_fault', `${listener}: ${who} ${what}: ${rule} (${error}); ${more}`, {
      listener,
      peer: peer === '' ? 'unix' : peer,
      code,
      http2_error: error,
      rule,
      count,
    });
  });
}
