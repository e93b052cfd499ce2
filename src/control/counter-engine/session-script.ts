/**
 * Whose a session is, in the words of Redis: looked up, begun, moved or forgotten in one step, so that of instances that see
 * a client for the first time at once all hear the same. See snapshot/shared-sessions.ts. What is asked for lasts longer by that,
 * and what nobody has had may last for less at first.
 */
import { createHash } from 'node:crypto';

export const SESSION_SCRIPT = `
local value, instead, ttl = ARGV[1], ARGV[2], ARGV[3]
local kept = redis.call('GET', KEYS[1]) or ''
if kept == '' then ttl = ARGV[4] end
if kept == '' or kept == instead or instead == '*' then
  if value == '' then
    if kept ~= '' then redis.call('DEL', KEYS[1]) end
    return ''
  end
  kept = value
end
redis.call('SET', KEYS[1], kept, 'PX', ttl)
return kept
`;

export const SESSION_SHA = createHash('sha1').update(SESSION_SCRIPT).digest('hex');
