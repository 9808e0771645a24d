-- Gives keys the ends back that they had, where they still have the one that they were given. KEYS: what is remembered, the
-- key, and so on. Answers for each: 1 given back, 0 nothing is remembered, 2 the key has another end by now, or would be
-- gone at once although it was told to stay.
local answers = {}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 1, #KEYS, 2 do
  local known, key = redis.call('GET', KEYS[i]), KEYS[i + 1]
  local answer = 0
  if known then
    local before, given = string.match(known, '(.*) (.*)')
    answer = 2
    local is_over = tonumber(given) < 0 and tonumber(before) <= now
    if redis.call('PEXPIRETIME', key) == tonumber(given) and not is_over then
      if tonumber(before) < 0 then redis.call('PERSIST', key) else redis.call('PEXPIREAT', key, before) end
      answer = 1
    end
    redis.call('UNLINK', KEYS[i])
  end
  answers[#answers + 1] = answer
end
return answers
