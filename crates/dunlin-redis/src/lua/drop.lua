-- Deletes keys that still are what was read of them. KEYS: one key. ARGV: its DUMP, its PEXPIRETIME.
if redis.call('DUMP', KEYS[1]) ~= ARGV[1] then return 0 end
if redis.call('PEXPIRETIME', KEYS[1]) ~= tonumber(ARGV[2]) then return 0 end
return redis.call('UNLINK', KEYS[1])
