-- Brings keys back out of the archive. KEYS: an archived key, its own name, and so on. ARGV: for each pair when the key was
-- to end, -1 for never, 0 where it still does. Answers for each: 1 brought back, 0 not there, 2 the name is taken.
local answers = {}
for i = 1, #KEYS, 2 do
  local name, key, ends = KEYS[i], KEYS[i + 1], ARGV[(i + 1) / 2]
  local answer = 0
  if redis.call('EXISTS', name) == 1 then
    answer = redis.call('RENAMENX', name, key) == 1 and 1 or 2
    if answer == 1 and tonumber(ends) < 0 then redis.call('PERSIST', key) end
    if answer == 1 and tonumber(ends) > 0 then redis.call('PEXPIREAT', key, ends) end
  end
  answers[#answers + 1] = answer
end
return answers
