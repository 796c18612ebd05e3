-- Keeps ask.messages, each with what it is in ARGV, in the log of a topic: each once, and of all of them the last
-- ask.history. Whether the index of topics has to be told that there is something.
local about, log, messages, placed = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ask = cmsgpack.unpack(ARGV[1])

local function text(number)
  return string.format('%.0f', number)
end

local row = redis.call('HMGET', about, 'last', 'indexed')
local last = tonumber(row[1] or 0)
for i, message in ipairs(ask.messages) do
  if not redis.call('ZSCORE', placed, message.mark) then
    last = last + 1
    redis.call('ZADD', log, text(last), message.mark)
    redis.call('HSET', messages, message.mark, ARGV[i + 1])
    redis.call('ZADD', placed, text(message.remember), message.mark)
  end
end
redis.call('HSET', about, 'last', text(last))
redis.call('ZREMRANGEBYSCORE', placed, '-inf', text(ask.now))
local function take_out(mark)
  redis.call('ZREM', log, mark)
  redis.call('HDEL', messages, mark)
end
for _, mark in ipairs(redis.call('ZRANGEBYSCORE', log, '-inf', text(last - ask.history))) do
  take_out(mark)
end
-- What is old goes, from the oldest on.
repeat
  local mark = redis.call('ZRANGE', log, 0, 0)[1]
  local message = mark and redis.call('HGET', messages, mark)
  local old = message and struct.unpack('>I8', message) + ask.age <= ask.now
  if old then
    take_out(mark)
  end
until not old
for _, key in ipairs(KEYS) do
  redis.call('EXPIRE', key, text(ask.keep))
end
return tonumber(row[2] or 0) < ask.now and 1 or 0
