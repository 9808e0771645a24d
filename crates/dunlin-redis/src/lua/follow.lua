-- Where a follower stands: one field for each version, a JSON text. KEYS: follow, history. ARGV: verb, field, life, then what
-- the verb takes. A follower that is closed, or is another one by now, is told so and changes nothing.
local text_of = redis.call('HGET', KEYS[1], ARGV[2])
local known = text_of and cjson.decode(text_of)
local function keep(entry)
  entry.at = now()
  redis.call('HSET', KEYS[1], ARGV[2], cjson.encode(entry))
end
if ARGV[1] == 'open' then
  -- The record is still the one that was found to be within the window.
  if redis.call('HGET', KEYS[2], ARGV[2]) ~= ARGV[4] then return { 'moved' } end
  local entry = cjson.decode(ARGV[5])
  if known and known.life ~= 'closing' then
    entry.life, entry.heard, entry.mended = known.life, known.heard, known.mended
  end
  keep(entry)
  return { 'ok', entry.life }
elseif ARGV[1] == 'close' then
  if not known then return { 'none' } end
  known.life = 'closing'
  keep(known)
  return { 'ok' }
elseif ARGV[1] == 'forget' then
  redis.call('HDEL', KEYS[1], ARGV[2])
  return { 'ok' }
end
if not known or known.life ~= ARGV[3] then return { 'closed' } end
if ARGV[1] == 'beat' then
  known.activity, known.lag = ARGV[4], tonumber(ARGV[5])
  known.heard, known.mended = known.heard + tonumber(ARGV[6]), known.mended + tonumber(ARGV[7])
  keep(known)
end
return { 'ok' }
