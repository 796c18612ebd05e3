-- What the scripts of a shard of messages share. ARGV[1] is what is asked. A message's row has the keys:
-- print, at, state (placing, scheduled, accepted), users, nonce, topic, deliver_at, released. In the schedule it is called
-- by its nonce, of a fixed length, and its id: nonces grow, so of one time the first that came is the first.
local schedule, scheduled, releasing, aging = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ask = cmsgpack.unpack(ARGV[1])

local function text(number)
  return string.format('%.0f', number)
end

-- Lets a key live for so many seconds at least.
local function keep(key, seconds)
  if redis.call('TTL', key) < seconds then
    redis.call('EXPIRE', key, text(seconds))
  end
end

local function write(key, message, state)
  redis.call('HSET', key, 'print', message.print, 'at', text(ask.now), 'state', state, 'users', message.users,
    'nonce', message.nonce, 'topic', message.topic)
  if message.deliver_at then
    redis.call('HSET', key, 'deliver_at', text(message.deliver_at))
  end
  keep(key, message.keep)
  redis.call('ZADD', aging, text(message.deliver_at or ask.now), message.id)
  keep(aging, message.keep)
end
