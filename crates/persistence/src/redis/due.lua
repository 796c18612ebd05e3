-- At most ask.limit messages that are due, as time and entry in turn, after when the next one will be. One that was
-- handed out and did not arrive anywhere is due again, before all others.
local found = {}
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', releasing, '-inf', text(ask.now), 'LIMIT', 0, text(ask.limit))) do
  found[#found + 1] = '0'
  found[#found + 1] = entry
end
local due = redis.call('ZRANGEBYSCORE', schedule, '-inf', text(ask.now), 'WITHSCORES', 'LIMIT', 0, text(ask.limit))
for i = 1, #due, 2 do
  found[#found + 1] = due[i + 1]
  found[#found + 1] = due[i]
end
local next = ''
for _, key in ipairs({schedule, releasing}) do
  local later = redis.call('ZRANGEBYSCORE', key, '(' .. text(ask.now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
  if later and (next == '' or tonumber(later) < tonumber(next)) then
    next = later
  end
end
for _, key in ipairs({schedule, scheduled, releasing}) do
  keep(key, ask.keep)
end
return {next, unpack(found)}
