-- Renames a field of hashes. KEYS: the hashes. ARGV: the field, its new name, whether fields have TTLs, the verb: 'rename';
-- 'replace' to write over the new one; 'look' to change nothing.
-- Answers for each: 0 renamed, 1 no such field, 2 both are there, 3 no hash, 4 only the new one, where it only looks.
local answers = {}
for i, key in ipairs(KEYS) do
  local value = redis.pcall('HGET', key, ARGV[1])
  local answer
  if type(value) == 'table' then answer = 3
  else
    local is_taken = redis.call('HEXISTS', key, ARGV[2]) == 1
    if not value then answer = ARGV[4] == 'look' and is_taken and 4 or 1
    elseif is_taken and ARGV[4] ~= 'replace' then answer = 2
    elseif ARGV[4] == 'look' then answer = 0
    else
      local ends = ARGV[3] == 'yes' and redis.call('HPEXPIRETIME', key, 'FIELDS', 1, ARGV[1])[1] or -1
      redis.call('HSET', key, ARGV[2], value)
      redis.call('HDEL', key, ARGV[1])
      if ends > 0 then redis.call('HPEXPIREAT', key, ends, 'FIELDS', 1, ARGV[2]) end
      answer = 0
    end
  end
  answers[i] = answer
end
return answers
