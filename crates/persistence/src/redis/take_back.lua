-- Takes ask.id, with its row in KEYS[5], out of the schedule; else says in whose inboxes it is.
local row = redis.call('HMGET', KEYS[5], 'state', 'users', 'nonce', 'topic')
if not row[1] then
  return cmsgpack.pack('unknown')
end
local entry = row[3] .. ask.id
if redis.call('ZREM', schedule, entry) == 1 then
  redis.call('HDEL', scheduled, entry)
  redis.call('HSET', KEYS[5], 'state', 'accepted', 'users', '[]')
  return cmsgpack.pack('taken')
end
if row[1] == 'placing' then
  -- Its publisher did not get an answer. Whoever tries again must not bring it back.
  redis.call('HSET', KEYS[5], 'state', 'accepted')
end
return cmsgpack.pack({placed = {row[2], row[3], row[4] or ''}})
