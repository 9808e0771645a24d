-- Takes the lock if it is free or its lease has run out. ARGV: who, host, pid, process, run, lease.
local lock, flat = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do lock[flat[i]] = flat[i + 1] end
if lock.format and lock.format ~= '1' then return { 'format', lock.format } end
local time = now()
if lock.run and time < tonumber(lock.expires or 0) then return { 'held', flat } end
-- Every right that later writes need, tried while nothing can go wrong yet.
redis.call('HDEL', KEYS[1], '')
for _, key in ipairs({ KEYS[2], KEYS[4] }) do
  redis.call('HSET', key, '', '')
  redis.call('HDEL', key, '')
end
redis.call('XLEN', KEYS[3])
redis.call('XDEL', KEYS[3], '0-1')
-- Counting begins at the clock, in microseconds, so that it goes on where somebody deleted the lock by hand: no token was
-- ever as high.
local clock = redis.call('TIME')
local token = text(tonumber(lock.token or clock[1] * 1000000 + clock[2]) + 1)
local expires = text(time + tonumber(ARGV[6]))
redis.call('HSET', KEYS[1], 'format', '1', 'token', token, 'who', ARGV[1], 'host', ARGV[2], 'pid', ARGV[3],
  'process', ARGV[4], 'run', ARGV[5], 'since', text(time), 'expires', expires)
return { 'taken', token, text(time), expires, lock.movers or '' }
