-- Takes keys away into the archive. KEYS: keys of one slot. ARGV: what names of the archive in that slot begin with, how
-- long it keeps them in milliseconds. The name says when the key was to end, -1 for never: it may stay longer than the
-- archive keeps it. Answers for each: 1 taken away, 4 taken away for as long as the archive keeps it, 0 not there.
local answers = {}
for i, key in ipairs(KEYS) do
  local ends = redis.call('PEXPIRETIME', key)
  answers[i] = 0
  if ends ~= -2 then
    local name = ARGV[1] .. string.format('%.0f', ends) .. ':' .. key
    redis.call('RENAME', key, name)
    local left = redis.call('PTTL', name)
    answers[i] = 1
    if left < 0 or left > tonumber(ARGV[2]) then
      redis.call('PEXPIRE', name, ARGV[2])
      answers[i] = 4
    end
  end
end
return answers
