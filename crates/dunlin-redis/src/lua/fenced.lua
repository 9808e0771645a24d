-- Runs commands in a slot of a cluster, each exactly once. What ran is remembered in a key of the same slot.
-- KEYS: the fence, then the commands' keys. ARGV: token, attempt, index of the first command, deadline, the number of
-- commands, the commands.
local token, attempt, first, deadline = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if now() > deadline then return { 'lost' } end
local fence = redis.call('HMGET', KEYS[1], 'token', 'attempt', 'next', 'changed')
if fence[1] and tonumber(fence[1]) > tonumber(token) then return { 'lost' } end
local next, rows = first, 0
if fence[2] == attempt and tonumber(fence[3]) > first then
  next, rows = tonumber(fence[3]), tonumber(fence[4])
end
local found = next - first
local at, count, failure = 6, tonumber(ARGV[5]), nil
for i = first, first + count - 1 do
  local args, effect
  args, effect, at = take(at)
  if i >= next then
    local reply = run(args)
    if type(reply) == 'table' and reply.err then
      failure = reply.err
      break
    end
    next = i + 1
    rows = rows + changed(effect, reply)
  end
end
if next > first + found then
  local kept = redis.pcall('HSET', KEYS[1], 'token', token, 'attempt', attempt, 'next', text(next), 'changed', text(rows))
  if type(kept) == 'table' and kept.err then return { 'unrecorded', kept.err } end
  -- It stays until the history says the same, however long that takes.
  redis.call('PERSIST', KEYS[1])
end
if failure then return { 'failed', next - first, failure, text(rows) } end
return { 'ok', found, text(rows) }
