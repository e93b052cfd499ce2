/**
 * Fairlead is ended with SIGKILL while clients change its backends and strategies, again and again. What was acknowledged holds after
 * the restart, of what was under way either all or nothing, and nothing else.
 */
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { exactly, shown } from './figure.mjs';

/** Each with backends of its own, one call at a time: so it knows what they have to be. */
const WRITERS = 4;
const POOLS = ['default', 'api'];
const STRATEGIES = ['round-robin', 'least-connections', 'random-two', 'peak-ewma'];
const STATES = ['enabled', 'draining', 'disabled'];
/** Of one writer: the first is in the config. */
const BACKENDS = 4;
const LONGEST_LIFE_MS = 400;
/** One in so many processes dies before it listens. */
const DIES_STARTING = 8;
const LONGEST_START_MS = 600;
const STATE_FILE = 'state.json';

const any = (list) => list[Math.floor(Math.random() * list.length)];
/** Nobody is there: no check, and no request, has a part in this. */
const urlOf = (writer, index) => `http://127.0.0.${2 + writer}:1/${index}`;

const poolConfig = (pool) => ({
  strategy: STRATEGIES[0],
  backends: Array.from({ length: WRITERS }, (_, writer) => writer)
    .filter((writer) => POOLS[writer % POOLS.length] === pool)
    .map((writer) => urlOf(writer, 0)),
});

/** The body is cut off with the process; what its status has said holds. */
async function call(fairlead, method, path, body) {
  const answer = await fetch(`http://127.0.0.1:${fairlead.adminPort}${path}`, {
    method,
    headers: { 'Content-Type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await answer.text().catch(() => '{}');
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return JSON.parse(text || '{}');
}

class Writer {
  written = 0;
  #number;
  #pool;
  /** What was acknowledged: the strategy, and by URL what its backends are. */
  #known;
  /** The same with the call that is under way. */
  #hoped;

  constructor(number) {
    this.#number = number;
    this.#pool = POOLS[number % POOLS.length];
  }

  /** Takes what is there for known. */
  async learn(fairlead) {
    this.#known = await this.#read(fairlead);
    this.#hoped = this.#known;
  }

  /** @returns undefined: what is there is one or the other */
  async fault(fairlead) {
    const is = await this.#read(fairlead);
    const isOneOf = [this.#known, this.#hoped].some((one) =>
      isDeepStrictEqual(forgetIds(is, one), one),
    );
    if (isOneOf) return undefined;
    return { writer: this.#number, is, known: this.#known, hoped: this.#hoped };
  }

  /** Until the process has died. @returns undefined, or what it was refused for */
  async write(fairlead, run) {
    while (!run.isDead) {
      try {
        await this.#change(fairlead);
        this.written++;
      } catch (error) {
        return run.isDead ? undefined : error;
      }
    }
    return undefined;
  }

  async #change(fairlead) {
    const path = `/pools/${this.#pool}`;
    // The strategy of a pool is the first one's who writes there.
    if (this.#number < POOLS.length && Math.random() < 0.2) {
      const strategy = any(STRATEGIES);
      await this.#ask({ ...this.#known, strategy }, () =>
        call(fairlead, 'PUT', `${path}/strategy`, { strategy }),
      );
      return;
    }
    const url = urlOf(this.#number, Math.floor(Math.random() * BACKENDS));
    const { [url]: backend, ...others } = this.#known.backends;
    if (backend === undefined) {
      const weight = 1 + Math.floor(Math.random() * 100);
      const added = { id: undefined, weight, state: 'enabled' };
      const hoped = { ...this.#known, backends: { ...others, [url]: added } };
      const { id } = await this.#ask(hoped, () =>
        call(fairlead, 'POST', `${path}/backends`, { url, weight }),
      );
      added.id = id;
    } else if (Math.random() < 0.3) {
      const hoped = { ...this.#known, backends: others };
      await this.#ask(hoped, () => call(fairlead, 'DELETE', `${path}/backends/${backend.id}`));
    } else {
      const change =
        Math.random() < 0.5
          ? { weight: 1 + Math.floor(Math.random() * 100) }
          : { state: any(STATES) };
      const backends = { ...others, [url]: { ...backend, ...change } };
      await this.#ask({ ...this.#known, backends }, () =>
        call(fairlead, 'PATCH', `${path}/backends/${backend.id}`, change),
      );
    }
  }

  async #ask(hoped, ask) {
    this.#hoped = hoped;
    const answer = await ask();
    this.#known = hoped;
    return answer;
  }

  async #read(fairlead) {
    const path = `/pools/${this.#pool}`;
    const indices = Array.from({ length: BACKENDS }, (_, index) => index);
    const own = new Set(indices.map((index) => urlOf(this.#number, index)));
    const found = await call(fairlead, 'GET', `${path}/backends`);
    const backends = {};
    for (const { url, id, weight, state } of found) {
      if (own.has(url)) backends[url] = { id, weight, state };
    }
    if (this.#number >= POOLS.length) return { backends };
    return { strategy: (await call(fairlead, 'GET', `${path}/strategy`)).strategy, backends };
  }
}

/** An id is not known where its answer was cut off: any will do. */
function forgetIds(is, like) {
  const backends = {};
  for (const [url, backend] of Object.entries(is.backends)) {
    const isUnknown = like.backends[url] !== undefined && like.backends[url].id === undefined;
    backends[url] = isUnknown ? { ...backend, id: undefined } : backend;
  }
  return { ...is, backends };
}

/** @satisfies {import('./figure.mjs').Experiment} */
export const crashes = {
  name: 'crashes',
  title: `SIGKILL at any moment while ${WRITERS} clients change backends and strategies`,
  full: { kills: 200 },
  short: { kills: 12 },

  async run(place, { kills }) {
    const { strategy, backends } = poolConfig('default');
    const config = {
      strategy,
      backends,
      pools: { api: poolConfig('api') },
      state_file: place.path(STATE_FILE),
      health_check_frequency: '1h',
      access_log: false,
    };
    const writers = Array.from({ length: WRITERS }, (_, number) => new Writer(number));
    let fairlead = await place.fairlead([], config);
    for (const writer of writers) await writer.learn(fairlead);
    const wrong = [];
    const refused = [];
    let complaints = 0;
    let diedStarting = 0;
    for (let killed = 0; killed < kills; ) {
      const run = { isDead: false };
      const writing = Promise.all(writers.map((writer) => writer.write(fairlead, run)));
      await sleep(Math.random() * LONGEST_LIFE_MS);
      run.isDead = true;
      await fairlead.crash();
      killed++;
      refused.push(...(await writing).filter((error) => error !== undefined));
      if (killed < kills && Math.random() * DIES_STARTING < 1) {
        const early = await place.beginFairlead([], config);
        await sleep(Math.random() * LONGEST_START_MS);
        await early.crash();
        killed++;
        diedStarting++;
      }
      fairlead = await place.fairlead([], config);
      if (/"event":"state_file\./.test(fairlead.output)) complaints++;
      for (const writer of writers) {
        const fault = await writer.fault(fairlead);
        if (fault !== undefined) wrong.push(fault);
        await writer.learn(fairlead);
      }
    }
    for (const fault of [...wrong, ...refused].slice(0, 3)) console.error(fault);
    const left = readdirSync(place.path('.')).filter((name) => name.includes(STATE_FILE));
    return [
      shown(
        'changes that were acknowledged',
        writers.reduce((sum, { written }) => sum + written, 0),
      ),
      shown('processes that were killed', kills),
      shown('of those, before they listened', diedStarting),
      exactly('changes that were refused', refused.length, 0),
      exactly('writers that found what nobody had acknowledged', wrong.length, 0),
      exactly('starts that complained of the state file', complaints, 0),
      exactly('files left beside the state file and its lock', left.length - 2, 0),
    ];
  },
};
