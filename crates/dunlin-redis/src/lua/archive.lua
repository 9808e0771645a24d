-- Takes keys away into the archive. KEYS: keys of one slot. ARGV: what names of the archive in that slot begin with, how
-- long it keeps them in milliseconds. The name says when the key was to end where it was to stay for longer
-- than the archive keeps it, -1 for never, and 0 where it ends by itself before that. Answers for each: 1 taken away, 4 the same, for as long as the archive
-- keeps it, 0 not there.
local answers = {}
for i, key in ipairs(KEYS) do
  local ends = redis.call('PEXPIRETIME', key)
  answers[i] = 0
  if ends ~= -2 then
    local left = redis.call('PTTL', key)
    local is_cut = left < 0 or left > tonumber(ARGV[2])
    local name = ARGV[1] .. (is_cut and string.format('%.0f', ends) or '0') .. ':' .. key
    -- One that was made anew is kept instead of the one before.
    local is_another = redis.call('RENAMENX', key, name) == 1
    if not is_another then redis.call('RENAME', key, name) end
    answers[i] = 1
    if is_cut then
      redis.call('PEXPIRE', name, ARGV[2])
      if is_another then answers[i] = 4 end
    end
  end
end
return answers
