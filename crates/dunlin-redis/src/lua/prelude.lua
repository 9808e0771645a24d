-- Shared by all scripts. Times are milliseconds by the clock of the server that runs the script.
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function text(number) return string.format('%.0f', number) end
