-- Runs commands and records how far they got, as one. Without commands it only records; without a kind of event it
-- writes no line in the journal.
-- ARGV: token, field, started, settled, rows, files, eight facts for the journal, the number of commands,
-- the commands, and the text of the record, the kind and the detail of the event for the state after each of them.
local token, field, started, settled = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local rows, files = tonumber(ARGV[5]), ARGV[6]
if not holds(token) then return { 'lost' } end
-- Looked at before anything runs, so that a key of another type fails now and not when the command is done.
redis.call('HEXISTS', KEYS[2], field)
redis.call('HEXISTS', KEYS[4], field)
redis.call('XLEN', KEYS[3])
local count = tonumber(ARGV[15])
local at = 16
local commands = {}
for i = 1, count do
  local args, effect
  args, effect, at = take(at)
  commands[i] = { args = args, effect = effect }
end
local complete, failure = 0, nil
for _, command in ipairs(commands) do
  local reply = run(command.args)
  if type(reply) == 'table' and reply.err then
    failure = reply.err
    break
  end
  complete = complete + 1
  rows = rows + changed(command.effect, reply)
end
if failure and complete == 0 then return { 'failed', 0, failure } end
-- A server out of memory lets a script write that has written already: this records what was done, however little
-- room there is.
redis.call('HDEL', KEYS[1], '')
local time = text(now())
local entry = at + 3 * math.max(complete - 1, 0)
local record, kind, detail = ARGV[entry], ARGV[entry + 1], ARGV[entry + 2]
local finished = settled
if settled == 'now' then finished = time end
if settled == '' or failure then finished = 'null' end
if started == '' then started = time end
if record ~= '' then
  local head = '{"format":1,"started":' .. started .. ',"finished":' .. finished .. ',"rows":' .. text(rows)
  redis.call('HSET', KEYS[2], field, head .. record)
end
if files ~= '' then redis.call('HSET', KEYS[4], field, files) end
-- A position among many that a move comes past is not worth a line.
if kind == '' then return { 'ok', started, finished, text(rows) } end
local sequence = 1
if redis.call('EXISTS', KEYS[3]) == 1 then
  local stream = redis.call('XINFO', 'STREAM', KEYS[3])
  for i = 1, #stream, 2 do
    if stream[i] == 'last-generated-id' then sequence = tonumber(string.match(stream[i + 1], '^%d+')) + 1 end
  end
end
local event = { 'format', '1', 'at', time, 'kind', kind }
for i, name in ipairs({ 'version', 'slug', 'phase', 'step', 'run', 'who', 'host', 'tool' }) do
  event[#event + 1] = name
  event[#event + 1] = ARGV[6 + i]
end
if detail ~= '' then
  event[#event + 1] = 'detail'
  event[#event + 1] = detail
end
redis.call('XADD', KEYS[3], text(sequence) .. '-1', unpack(event))
if failure then return { 'failed', complete, failure } end
return { 'ok', started, finished, text(rows) }
