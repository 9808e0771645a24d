-- KEYS: lock, history, journal, files.
-- The token counts up and stays when the lock is given back; `run` is there only while somebody holds it.
local function holds(token)
  local lock = redis.call('HMGET', KEYS[1], 'token', 'run')
  return lock[1] == token and lock[2]
end
