-- Says in the lock that the holder has connections which write outside of scripts, or that nobody has any more. Whoever
-- finds it said ends those connections before writing anything. ARGV: token, 'some' or 'none'.
if not holds(ARGV[1]) then return { 'lost' } end
if ARGV[2] == 'some' then redis.call('HSET', KEYS[1], 'movers', '1') else redis.call('HDEL', KEYS[1], 'movers') end
return { 'ok' }
