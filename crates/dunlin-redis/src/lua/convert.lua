-- Writes what was made of a key under another name, if the key still is what it was made of. KEYS: the key, the other; only
-- the other where the key lives in another slot, and was looked at there.
-- ARGV: 'hash' or 'text', the verb, then what the key held and what was made of it, each as a count and so many words: one
-- for a string, field by field and value by value for a hash; then the TTL, where the key is elsewhere. Verbs: 'write';
-- 'replace' to write over whatever there is; 'look'; 'drop' to delete what was made; 'take' to delete the key if the other
-- holds what was made, or where only the key is given, or to keep it for so long under a third name that is given then.
-- Answers: 0 written, 1 there already, 2 the key changed, 3 the name is taken by something else, 4 deleted, 5 not there.
local function words(at)
  local taken, count = {}, tonumber(ARGV[at])
  for i = 1, count do taken[i] = ARGV[at + i] end
  return taken, at + count + 1
end
local function holds(key, kind, wanted)
  if redis.call('TYPE', key).ok ~= kind then return false end
  if kind == 'string' then return redis.call('GET', key) == wanted[1] end
  local held, known = redis.call('HGETALL', key), {}
  if #held ~= #wanted then return false end
  for i = 1, #wanted, 2 do known[wanted[i]] = wanted[i + 1] end
  for i = 1, #held, 2 do
    if known[held[i]] ~= held[i + 1] then return false end
  end
  return true
end
local is_hash = ARGV[1] == 'hash'
local source, at = words(3)
local made, after = words(at)
local key, other = KEYS[1], KEYS[2]
if ARGV[2] == 'take' then
  local kept, keep = KEYS[3], ARGV[after + 1]
  if not holds(key, is_hash and 'string' or 'hash', source) then return 2 end
  if ARGV[after] == 'near' and not holds(other, is_hash and 'hash' or 'string', made) then return 3 end
  if ARGV[after] == 'far' then kept = KEYS[2] end
  if kept then
    redis.call('RENAME', key, kept)
    redis.call('PEXPIRE', kept, keep)
  else
    redis.call('UNLINK', key)
  end
  return 4
end
if not other then key, other = nil, KEYS[1] end
if key and not holds(key, is_hash and 'string' or 'hash', source) then return 2 end
if ARGV[2] == 'replace' then redis.call('UNLINK', other) end
local is_there = redis.call('EXISTS', other) == 1
if is_there then
  if not holds(other, is_hash and 'hash' or 'string', made) then return 3 end
  if ARGV[2] ~= 'drop' then return 1 end
  redis.call('UNLINK', other)
  return 4
end
if ARGV[2] ~= 'write' and ARGV[2] ~= 'replace' then return 5 end
if is_hash then
  for i = 1, #made, 2 do redis.call('HSET', other, made[i], made[i + 1]) end
else
  redis.call('SET', other, made[1])
end
local left = key and redis.call('PTTL', key) or tonumber(ARGV[after])
if left > 0 then redis.call('PEXPIRE', other, left) end
return 0
