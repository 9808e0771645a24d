-- Gives the lock back, or takes it away. ARGV: token, whether it is taken away, whether its holder may still be
-- writing where this script cannot see it: then nobody else gets the lock before the lease is over.
if not holds(ARGV[1]) then return { 'lost' } end
local expires = redis.call('HGET', KEYS[1], 'expires')
redis.call('HDEL', KEYS[1], 'who', 'host', 'pid', 'process', 'run', 'since', 'expires')
if ARGV[2] == 'taken' then redis.call('HINCRBY', KEYS[1], 'token', 1) end
if ARGV[3] == 'wait' then redis.call('HSET', KEYS[1], 'barrier', expires) end
return { 'ok' }
