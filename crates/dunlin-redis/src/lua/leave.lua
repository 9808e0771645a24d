-- Gives the lock back, or takes it away. ARGV: token, whether it is `taken` away, given, or `quiet`: given by a holder
-- none of whose connections has anything under way.
if not holds(ARGV[1]) then return { 'lost' } end
redis.call('HDEL', KEYS[1], 'who', 'host', 'pid', 'process', 'run', 'since', 'expires')
if ARGV[2] == 'quiet' then redis.call('HDEL', KEYS[1], 'movers') end
if ARGV[2] == 'taken' then redis.call('HINCRBY', KEYS[1], 'token', 1) end
return { 'ok' }
