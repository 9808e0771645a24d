-- Lets keys end, and remembers when they were to end. KEYS: keys of one slot. ARGV: the TTL in milliseconds, below zero to
-- take ends away; whether those that end already are passed by; what names of the archive in that slot begin with; how
-- long it remembers. Answers for each: 4 changed and remembered, 0 not there, 2 passed by, 3 as it should be.
local ttl, only = tonumber(ARGV[1]), ARGV[2] == 'yes'
local function text(number) return string.format('%.0f', number) end
local function change(key)
  local ends = redis.call('PEXPIRETIME', key)
  if ends == -2 then return 0 end
  if ttl < 0 and ends == -1 then return 3 end
  local name = ARGV[3] .. key
  local known = redis.call('GET', name)
  -- An earlier run that was cut off gave it this end already.
  if known and string.match(known, ' (.*)') == text(ends) then return 3 end
  if only and ends >= 0 then return 2 end
  if ttl < 0 then redis.call('PERSIST', key) else redis.call('PEXPIRE', key, ttl) end
  local given = redis.call('PEXPIRETIME', key)
  redis.call('SET', name, text(ends) .. ' ' .. text(given), 'PX', ARGV[4])
  return 4
end
local answers = {}
for i, key in ipairs(KEYS) do answers[i] = change(key) end
return answers
