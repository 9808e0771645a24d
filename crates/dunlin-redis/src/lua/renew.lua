-- ARGV: token, lease. Renews even a lease that ran out, as long as nobody took the lock.
if not holds(ARGV[1]) then return { 'lost' } end
local expires = text(now() + tonumber(ARGV[2]))
redis.call('HSET', KEYS[1], 'expires', expires)
return { 'ok', expires }
