-- Runs one command of the user's: the reply, or a table with `err`.
local function run(args)
  local name = string.upper(args[1])
  if name == 'EVAL' then
    -- A script cannot call EVAL, but it can run the other script's text. The first line stays the first line.
    local chunk, fault = loadstring('local KEYS, ARGV = ... ; ' .. args[2], '@user_script')
    if not chunk then return { err = 'ERR ' .. tostring(fault) } end
    local count = tonumber(args[3])
    if not count or count < 0 or count > #args - 3 then
      return { err = "ERR Number of keys can't be greater than number of args" }
    end
    local keys, rest = {}, {}
    for i = 4, #args do
      if i < 4 + count then keys[#keys + 1] = args[i] else rest[#rest + 1] = args[i] end
    end
    local went_well, reply = pcall(chunk, keys, rest)
    if went_well then return reply end
    return { err = type(reply) == 'table' and reply.err or 'ERR ' .. tostring(reply) }
  end
  if name == 'FLUSHALL' or name == 'FLUSHDB' then
    -- What dunlin remembers outlives the keys.
    local kept = {}
    for _, key in ipairs(KEYS) do kept[key] = redis.call('DUMP', key) end
    local reply = redis.pcall(unpack(args))
    if type(reply) == 'table' and reply.err then return reply end
    for key, dump in pairs(kept) do
      if dump then redis.call('RESTORE', key, 0, dump) end
    end
    return reply
  end
  return redis.pcall(unpack(args))
end
-- Reads the next command off ARGV; says where the one after it begins.
local function take(at)
  local count, args = tonumber(ARGV[at]), {}
  for i = 1, count do args[i] = ARGV[at + 1 + i] end
  return args, ARGV[at + 1], at + 2 + count
end
-- How many keys a reply means.
local function changed(effect, reply)
  if effect == 'counts' then return tonumber(reply) or 0 end
  return effect == 'writes' and 1 or 0
end
