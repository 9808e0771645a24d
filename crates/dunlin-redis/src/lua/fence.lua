-- Shuts a slot to all holders of the lock before this one. KEYS: the fence. ARGV: token, how long a fence stays of which
-- nobody waits to hear what ran.
local fence = redis.call('HMGET', KEYS[1], 'token', 'attempt')
if fence[1] and tonumber(fence[1]) >= tonumber(ARGV[1]) then return { 'ok' } end
redis.call('HSET', KEYS[1], 'token', ARGV[1])
if not fence[2] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return { 'ok' }
