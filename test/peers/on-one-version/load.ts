/** Clients that ask again and again, while something happens to the backends. */
import type http2 from 'node:http2';
import { ask, type Http2Answer } from '../../behaviour/http2-stage.ts';
import { type Front, session } from '../front.ts';

const CLIENTS = 8;

export interface Load {
  /** Answers so far. */
  answered(): number;
  /** Lets what is under way come to its end, and returns what was not as it should be. */
  stop(): Promise<string[]>;
}

/** GETs over HTTP/2, eight at once on two connections. */
export function startLoad(
  front: Front,
  path: string,
  isRight: (answer: Http2Answer) => boolean,
): Load {
  const wrong: string[] = [];
  let answered = 0;
  const over = new AbortController();
  async function askOn(mine: http2.ClientHttp2Session): Promise<void> {
    while (!over.signal.aborted) {
      try {
        const answer = await ask(mine, { ':path': path });
        answered++;
        if (!isRight(answer)) wrong.push(`${answer.status} ${answer.body.subarray(0, 200)}`);
      } catch (error) {
        wrong.push(String(error));
      }
    }
  }
  const sessions = [session(front, false), session(front, false)];
  const running = Array.from({ length: CLIENTS / 2 }, () => sessions.map(askOn)).flat();
  return {
    answered: () => answered,
    stop: async () => {
      over.abort();
      await Promise.all(running);
      return wrong;
    },
  };
}
