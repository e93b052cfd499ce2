/**
 * GCRA (data/limit/rate-limit.ts) in the words of Redis: many requests in one step, on the clock of the engine, so that those of the
 * instances need not agree. The key holds the theoretical arrival time in whole microseconds, and expires when that has come: it
 * then says nothing that a key that was never there does not say.
 *
 * - All is rounded up, in favour of the limit, and once for all that is granted.
 * - What is further ahead than a whole burst is cut to it: where the clock of the engine was set back, nobody is locked out for longer than
 *   that.
 * - An instance says how far ahead it knows a key to be: an engine that has restarted empty goes on from there.
 */
import { createHash } from 'node:crypto';

export const GCRA_SCRIPT = `
local per, rate, burst, want, debt = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local whole = math.ceil(burst * per / rate)
local kept = tonumber(redis.call('GET', KEYS[1]) or now)
local due = math.min(math.max(kept, now + debt, now), now + whole)
local granted = math.max(0, math.min(want, math.floor((now + whole - due) * rate / per + 0.000001)))
due = due + math.ceil(granted * per / rate - 0.000001)
local wait = 0
if granted < want then wait = math.max(1, due + math.ceil(per / rate) - now - whole) end
if due > now and due ~= kept then
  redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000))
end
return { granted, wait, due - now }
`;

export const GCRA_SHA = createHash('sha1').update(GCRA_SCRIPT).digest('hex');
