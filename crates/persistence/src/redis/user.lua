-- What the scripts of one user's inbox share. ARGV[1] is what is asked. A mark is the id of a message and a text that
-- tells it from others to which a publisher gave the same id; a member of the log is the priority (0 to 2) and the
-- mark. Large things are never looked at to find out about small ones, so heads are kept beside the messages.
local inbox, log, messages, over, collapse = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local acknowledged, sent, seen = KEYS[6], KEYS[7], KEYS[8]
local connected, servers, placed, heads, topics = KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13]
local ask = cmsgpack.unpack(ARGV[1])

local row = redis.call('HMGET', inbox, 'last', 'bytes', 'version', 'indexed', 'ends')
local last, bytes, version = tonumber(row[1] or 0), tonumber(row[2] or 0), tonumber(row[3] or 0)
-- What the receipts of other messages have to say: mark, then why it went.
local steps = {}
-- Whether the keys live longer now.
local renewed = false

local function text(number)
  return string.format('%.0f', number)
end

-- The member of a message and its number, if it is kept.
local function find(mark)
  local scores = redis.call('ZMSCORE', log, '0' .. mark, '1' .. mark, '2' .. mark)
  for i = 1, 3 do
    if scores[i] then
      return (i - 1) .. mark, tonumber(scores[i])
    end
  end
end

-- When a message came, when its own time is over (0 is never), the bytes of its content, its collapse key.
local function head(mark)
  local head = redis.call('HGET', heads, mark)
  if not head then
    return 0, 0, 0, ''
  end
  return struct.unpack('>I8I8I4I2c0', head)
end

local function take_out(member)
  local mark = string.sub(member, 2)
  local _, _, size, key = head(mark)
  redis.call('ZREM', log, member)
  redis.call('HDEL', messages, mark)
  redis.call('HDEL', heads, mark)
  redis.call('ZREM', over, mark)
  bytes = math.max(0, bytes - size)
  if key ~= '' and redis.call('HGET', collapse, key) == mark then
    redis.call('HDEL', collapse, key)
  end
end

-- Deletes what every device has passed.
local function trim()
  local slowest = redis.call('ZRANGE', acknowledged, 0, 0, 'WITHSCORES')[2]
  if not slowest then
    return
  end
  repeat
    local passed = redis.call('ZRANGEBYSCORE', log, '-inf', slowest, 'LIMIT', 0, 1000)
    for _, member in ipairs(passed) do
      take_out(member)
    end
  until #passed < 1000
end

-- Whether a device follows one of these topics. They stand in front of the devices, with a NUL between.
local function follows(filters)
  for _, filter in ipairs(filters) do
    if redis.call('ZLEXCOUNT', topics, '[' .. filter .. '\0', '(' .. filter .. '\1') > 0 then
      return true
    end
  end
  return false
end

-- What a device follows; of no device what any of them does, once each.
local function followed_by(device)
  local found = {}
  for _, member in ipairs(redis.call('ZRANGE', topics, 0, -1)) do
    local at = string.find(member, '\0', 1, true)
    local filter = string.sub(member, 1, at - 1)
    if device and string.sub(member, at + 1) == device or not device and found[#found] ~= filter then
      found[#found + 1] = filter
    end
  end
  return found
end

-- All keys of a user expire at one moment: a number must not be forgotten while a device or a message is known. That
-- is put off once a day, as Redis writes each expiry down. What may be new gets the moment of the others.
local function renew(new)
  local day, now = 24 * 60 * 60, tonumber(redis.call('TIME')[1])
  local ends = tonumber(row[5] or 0)
  if ends < now + ask.keep then
    ends = now + ask.keep + day
    renewed = true
    redis.call('HSET', inbox, 'ends', text(ends))
    for _, key in ipairs(KEYS) do
      redis.call('EXPIREAT', key, ends)
    end
    return
  end
  for _, key in ipairs(new) do
    if redis.call('TTL', key) == -1 then
      redis.call('EXPIREAT', key, ends)
    end
  end
end

-- When there will be something to clear up: a message that is over, a device that was not seen for too long; or
-- that nothing is left.
local function due()
  local at = ask.now + 1000 * (ask.keep + 24 * 60 * 60)
  local ended = redis.call('ZRANGE', over, 0, 0, 'WITHSCORES')[2]
  if ended then
    at = math.min(at, ended)
  end
  local oldest = redis.call('ZRANGE', log, 0, 0)[1]
  if oldest then
    at = math.min(at, head(string.sub(oldest, 2)) + ask.age)
  end
  local device = redis.call('ZRANGE', seen, 0, 0, 'WITHSCORES')[2]
  if device then
    at = math.min(at, device + ask.device_ttl)
  end
  return at
end

-- Numbers above 2^53 are none in Lua; an inbox would need a million messages a second for 280 years.
local function write(new)
  local time = redis.call('TIME')
  -- Larger than any before, even than one of an inbox that was forgotten in between.
  version = math.max(version + 1, time[1] * 1000000 + time[2])
  redis.call('HSET', inbox, 'last', text(last), 'bytes', text(bytes), 'version', text(version))
  renew(new)
end

-- The index is on another node perhaps, so who calls has to tell it. If that is lost, it must not look at the
-- user too late: what comes earlier than the index knows is urgent.
local function answer(reply)
  local at = due()
  local indexed = tonumber(row[4] or nil)
  if indexed and at > indexed then
    redis.call('HSET', inbox, 'indexed', text(at))
  end
  reply.count = {redis.call('ZCARD', log), version, at, not indexed or at < indexed}
  reply.steps = steps
  -- Those who follow a topic are known beside it, and there as long as here.
  reply.follows = renewed and followed_by(nil) or {}
  return cmsgpack.pack(reply)
end
