-- Compares pairs of keys. KEYS: one, other, one, other, … ARGV: how big a value may be, how far two TTLs may be apart,
-- 'look', or 'drop' to delete the one where both are the same, whether fields have TTLs.
-- Answers for each pair: 0 same, 1 no one, 2 no other, 3 another type, 4 another value, 5 another TTL, 6 too big, 7 deleted.
-- A number that is handed to a command is written out each time: text is handed over as it is.
local most, limit, slack = ARGV[1], tonumber(ARGV[1]), tonumber(ARGV[2])
-- Where no key ends, none is asked when it does.
local has_ends = true
local keyspace = redis.pcall('INFO', 'keyspace')
if type(keyspace) == 'string' then has_ends = string.find(keyspace, 'expires=[1-9]') ~= nil end
local function is_same_list(one, other)
  if #one ~= #other then return false end
  for i = 1, #one do
    if type(one[i]) == 'table' then
      if not is_same_list(one[i], other[i]) then return false end
    elseif one[i] ~= other[i] then
      return false
    end
  end
  return true
end
local function is_same_map(one, other, step)
  if #one ~= #other then return false end
  local known = {}
  for i = 1, #one, step do known[one[i]] = one[i + step - 1] end
  for i = 1, #other, step do
    if known[other[i]] ~= other[i + step - 1] then return false end
  end
  return true
end
local function ends(key, fields)
  local flat = {}
  -- A script may not hand over more than some thousand words at once.
  for start = 1, #fields, 2000 do
    local names = {}
    for i = start, math.min(start + 1998, #fields), 2 do names[#names + 1] = fields[i] end
    local ends = redis.call('HPEXPIRETIME', key, 'FIELDS', #names, unpack(names))
    for i, name in ipairs(names) do
      flat[#flat + 1] = name
      flat[#flat + 1] = ends[i]
    end
  end
  return flat
end
-- A copy may be encoded otherwise, or list what it holds in another order.
local function is_same(kind, one, other)
  if kind == 'string' then return redis.call('GET', one) == redis.call('GET', other) end
  if kind == 'list' then
    return is_same_list(redis.call('LRANGE', one, 0, -1), redis.call('LRANGE', other, 0, -1))
  end
  if kind == 'set' then return is_same_map(redis.call('SMEMBERS', one), redis.call('SMEMBERS', other), 1) end
  if kind == 'zset' then
    return is_same_list(redis.call('ZRANGE', one, 0, -1, 'WITHSCORES'), redis.call('ZRANGE', other, 0, -1, 'WITHSCORES'))
  end
  if kind == 'hash' then
    local fields = redis.call('HGETALL', one)
    if not is_same_map(fields, redis.call('HGETALL', other), 2) then return false end
    return ARGV[4] ~= 'yes' or is_same_map(ends(one, fields), ends(other, fields), 2)
  end
  return false
end
local dropped, taken = {}, {}
local function finish(one, other)
  if has_ends then
    local left, others_left = redis.call('PTTL', one), redis.call('PTTL', other)
    if (left < 0) ~= (others_left < 0) or math.abs(left - others_left) > slack then return 5 end
  end
  if ARGV[3] == 'drop' then
    -- A walk may come past a key twice.
    if taken[one] then return 1 end
    taken[one], dropped[#dropped + 1] = true, one
    return 7
  end
  return 0
end
-- Strings are read at once, and no more of them than may be; nothing is said of what is not there or no string. An error
-- that is caught is counted by the server all the same, so this ends with the first key that is none.
local are_texts = redis.call('TYPE', KEYS[1]).ok == 'string'
local function compare_texts(one, other)
  local value = redis.pcall('GETRANGE', one, '0', most)
  if type(value) == 'table' then
    are_texts = false
    return nil
  end
  if value == '' then return nil end
  if #value > limit then return 6 end
  local others = redis.pcall('GETRANGE', other, '0', most)
  if type(others) == 'table' or others == '' then return nil end
  if #others > limit then return 6 end
  if value ~= others then return 4 end
  return finish(one, other)
end
local function compare(one, other)
  local size = redis.call('MEMORY', 'USAGE', one)
  if not size then return 1 end
  local others = redis.call('MEMORY', 'USAGE', other)
  if not others then return 2 end
  if size > limit or others > limit then return 6 end
  if redis.call('DUMP', one) ~= redis.call('DUMP', other) then
    local kind = redis.call('TYPE', one).ok
    if kind ~= redis.call('TYPE', other).ok then return 3 end
    if not is_same(kind, one, other) then return 4 end
  end
  return finish(one, other)
end
local verdicts = {}
for i = 1, #KEYS, 2 do
  verdicts[#verdicts + 1] = are_texts and compare_texts(KEYS[i], KEYS[i + 1]) or compare(KEYS[i], KEYS[i + 1])
end
if #dropped > 0 then redis.call('UNLINK', unpack(dropped)) end
return verdicts
