-- ask.messages, each with its row in KEYS and, if it is scheduled, what to release in ARGV: takes their ids.
local results = {}
for i, message in ipairs(ask.messages) do
  local key = KEYS[i + 4]
  local row = redis.call('HMGET', key, 'print', 'state', 'nonce')
  if message.check and row[1] then
    -- One that was not placed everywhere was not answered: it goes on where it ended.
    results[i] = row[1] ~= message.print and 'conflict' or row[2] == 'placing' and {again = row[3]} or 'duplicate'
  else
    if message.noted then
      write(key, message, message.deliver_at and 'scheduled' or 'placing')
    end
    if message.deliver_at then
      local entry = message.nonce .. message.id
      redis.call('ZADD', schedule, text(message.deliver_at), entry)
      redis.call('HSET', scheduled, entry, ARGV[i + 1])
      for _, index in ipairs({schedule, scheduled, releasing}) do
        keep(index, message.keep)
      end
    end
    results[i] = 'new'
  end
end
return cmsgpack.pack(results)
