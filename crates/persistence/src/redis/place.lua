-- ask.messages, each with its head and what it is in ARGV: puts them into the inbox, in order, each once. With
-- ask.look only says whether each would be refused.
local waiting = redis.call('ZCARD', log)
local devices = redis.call('ZCARD', acknowledged)
local reach = tonumber(redis.call('ZREVRANGE', sent, 0, 0, 'WITHSCORES')[2] or 0)

-- The older message about the same, if nobody has begun to fetch it.
local function replaced(message)
  local mark = message.key ~= '' and #online == 0 and redis.call('HGET', collapse, message.key)
  if mark then
    local member, seq = find(mark)
    if member and seq > reach then
      return member
    end
  end
end

local function lacks_room(message, count, size)
  if count > 0 and not message.beyond_limits then
    return count >= ask.messages_limit and 0 or size + message.bytes > ask.bytes_limit and 1 or nil
  end
end

-- The number of a new message: the next one, or that of the first of the less urgent at the end, which all
-- move by one. What is before an equally urgent one stays there, or those two would change places.
local function number(message)
  last = last + 1
  if #online > 0 then
    return last
  end
  local free, moved = last, {}
  local above = '(' .. text(last)
  repeat
    local page = redis.call('ZREVRANGEBYSCORE', log, above, '(' .. text(reach), 'WITHSCORES', 'LIMIT', 0, 100)
    local stop = #page == 0
    for i = 1, #page, 2 do
      if tonumber(string.sub(page[i], 1, 1)) >= message.priority then
        stop = true
        break
      end
      moved[#moved + 1] = text(free)
      moved[#moved + 1] = page[i]
      free = tonumber(page[i + 1])
      above = '(' .. text(free)
    end
  until stop
  for i = 1, #moved, 1000 do
    redis.call('ZADD', log, unpack(moved, i, math.min(i + 999, #moved)))
  end
  return free
end

local function place(message, message_head, body)
  local _, seq = find(message.mark)
  if seq then
    return {old = seq}
  end
  if redis.call('ZSCORE', placed, message.mark) then
    return 'gone'
  end
  if message.follow[1] and not follows(message.follow) then
    return 'unfollowed'
  end
  if message.known and devices == 0 then
    return 'unknown'
  end
  local older = replaced(message)
  if message.refuse then
    local count, size = waiting, bytes
    if older then
      local _, _, freed = head(string.sub(older, 2))
      count, size = count - 1, size - freed
    end
    local full = lacks_room(message, count, size)
    if full then
      return {full = full}
    end
  end
  if ask.look then
    return 'gone'
  end
  if older then
    steps[#steps + 1] = {string.sub(older, 2), 'collapsed'}
    take_out(older)
    waiting = waiting - 1
  end
  while lacks_room(message, waiting, bytes) do
    local oldest = redis.call('ZRANGE', log, 0, 0)[1]
    steps[#steps + 1] = {string.sub(oldest, 2), 'full'}
    take_out(oldest)
    waiting = waiting - 1
  end
  seq = number(message)
  redis.call('ZADD', log, text(seq), message.priority .. message.mark)
  redis.call('HSET', messages, message.mark, body)
  redis.call('HSET', heads, message.mark, message_head)
  if message.ends > 0 then
    redis.call('ZADD', over, text(message.ends), message.mark)
  end
  if message.key ~= '' then
    redis.call('HSET', collapse, message.key, message.mark)
  end
  -- So that what is sent twice to be sure, or given out again by a publisher, does not come back.
  redis.call('ZADD', placed, text(message.remember), message.mark)
  waiting, bytes = waiting + 1, bytes + message.bytes
  return {new = seq}
end

local results, changed = {}, false
for i, message in ipairs(ask.messages) do
  results[i] = place(message, ARGV[2 * i], ARGV[2 * i + 1])
  changed = changed or type(results[i]) == 'table' and results[i].new ~= nil
end
if changed then
  redis.call('ZREMRANGEBYSCORE', placed, '-inf', text(ask.now))
  write({inbox, log, messages, over, collapse, placed, heads})
end
return answer({results = results})
