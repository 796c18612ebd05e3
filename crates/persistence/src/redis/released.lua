-- ask.entry, with its row in KEYS[5], is in its inboxes; or, without ask.placed, in none, as one has refused it.
redis.call('ZREM', releasing, ask.entry)
redis.call('HDEL', scheduled, ask.entry)
if redis.call('EXISTS', KEYS[5]) == 1 then
  redis.call('HSET', KEYS[5], 'state', 'accepted')
  if ask.placed then
    redis.call('HSET', KEYS[5], 'released', text(ask.now))
  end
end
return 1
