-- Brings two fields of hashes in step. KEYS: the hashes. ARGV: the first field, the second, what becomes of fields that
-- differ ('stop', 'first', 'second', 'stay'), the verb ('mend', or 'drop' to remove the first once it is in step), whether
-- fields have TTLs, how far two may be apart.
-- Answers for each: 0 in step, 1 no first field, 4 another value, 5 another TTL, 7 removed, 8 brought in step, 9 left.
local first, second, rule, verb, slack = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[6])
local function ends(key, field)
  if ARGV[5] ~= 'yes' then return -1 end
  return redis.call('HPEXPIRETIME', key, 'FIELDS', 1, field)[1]
end
local function put(key, field, from, value)
  local at = ends(key, from)
  redis.call('HSET', key, field, value)
  if at > 0 then redis.call('HPEXPIREAT', key, at, 'FIELDS', 1, field) end
end
local function unlike(key, one, other)
  if one ~= other then return 4 end
  local left, right = ends(key, first), ends(key, second)
  if (left < 0) ~= (right < 0) or math.abs(left - right) > slack then return 5 end
end
local function align(key)
  local one = redis.pcall('HGET', key, first)
  if type(one) == 'table' or not one then return 1 end
  local other = redis.call('HGET', key, second)
  local found = other and unlike(key, one, other)
  if found and rule == 'stop' then return found end
  if found and rule == 'stay' then return 9 end
  if found and rule == 'second' then
    put(key, first, second, other)
  elseif found or not other then
    put(key, second, first, one)
  end
  if verb == 'drop' then
    redis.call('HDEL', key, first)
    return 7
  end
  return (found or not other) and 8 or 0
end
local answers = {}
for i, key in ipairs(KEYS) do answers[i] = align(key) end
return answers
