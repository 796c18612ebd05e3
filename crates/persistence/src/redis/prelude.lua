-- KEYS[1] how many messages are kept, KEYS[2] the same by user, KEYS[3] when each user's inbox was last used.

local KEEP = 30 * 24 * 60 * 60

local function text(number)
  return string.format('%.0f', number)
end

local function add(log, last, message)
  local seq = redis.call('INCR', last)
  redis.call('XADD', log, text(seq) .. '-0', 'm', message)
  return seq
end

-- Renews what a user has and counts it anew. Counted, not added up: an inbox that Redis let expire goes from
-- the sum at its next use this way.
local function settle(user, log, last, devices)
  local waiting = redis.call('XLEN', log)
  if waiting == 0 then
    redis.call('DEL', log)
  end
  local counted = tonumber(redis.call('HGET', KEYS[2], user) or 0)
  if waiting ~= counted then
    redis.call('INCRBY', KEYS[1], text(waiting - counted))
  end
  if waiting == 0 then
    redis.call('HDEL', KEYS[2], user)
    redis.call('ZREM', KEYS[3], user)
  else
    redis.call('HSET', KEYS[2], user, text(waiting))
    redis.call('ZADD', KEYS[3], redis.call('TIME')[1], user)
  end
  for _, key in ipairs({log, last, devices, KEYS[1], KEYS[2], KEYS[3]}) do
    redis.call('EXPIRE', key, KEEP)
  end
end
