-- Up to ask.limit messages after ask.after, and at most ask.bytes or one: number and message in turn.
local found, size = {}, 0
local after, now = ask.after, ask.now
while #found < 2 * ask.limit do
  local page = redis.call('ZRANGEBYSCORE', log, '(' .. text(after), '+inf', 'WITHSCORES', 'LIMIT', 0, 100)
  for i = 1, #page, 2 do
    after = tonumber(page[i + 1])
    local mark = string.sub(page[i], 2)
    local came, ends = head(mark)
    if came > now - ask.age and (ends == 0 or ends > now) then
      local message = redis.call('HGET', messages, mark) or ''
      if #found > 0 and size + #message > ask.bytes or #found == 2 * ask.limit then
        return found
      end
      size = size + #message
      found[#found + 1] = text(after)
      found[#found + 1] = message
    end
  end
  if #page < 200 then
    return found
  end
end
return found
