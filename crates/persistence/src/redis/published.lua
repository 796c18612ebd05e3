-- The messages of a topic's log after ask.after, at most ask.limit and ask.bytes or one; with ask.newest the last ones,
-- the newest first. Number and message in turn; with ask.counting without what they say. Each begins with when it came and when its time is over, if ever.
local log, messages = KEYS[2], KEYS[3]
local ask = cmsgpack.unpack(ARGV[1])
local found, size, at = {}, 0, 0
while #found < 2 * ask.limit do
  local page
  if ask.newest then
    page = redis.call('ZREVRANGE', log, at, at + 99, 'WITHSCORES')
  else
    local after = '(' .. string.format('%.0f', ask.after)
    page = redis.call('ZRANGEBYSCORE', log, after, '+inf', 'WITHSCORES', 'LIMIT', at, 100)
  end
  at = at + 100
  for i = 1, #page, 2 do
    local message = redis.call('HGET', messages, page[i]) or ''
    local came, ends = 0, 1
    if #message >= 16 then
      came, ends = struct.unpack('>I8I8', message)
    end
    if came + ask.age > ask.now and (ends == 0 or ends > ask.now) then
      if #found > 0 and size + #message > ask.bytes or #found == 2 * ask.limit then
        return found
      end
      if ask.counting then
        message = ''
      end
      size = size + #message
      found[#found + 1] = page[i + 1]
      found[#found + 1] = message
    end
  end
  if #page < 200 then
    break
  end
end
return found
