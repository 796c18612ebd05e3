-- The message in KEYS[5] was refused, and its id may be used again.
if redis.call('HGET', KEYS[5], 'state') == 'placing' then
  redis.call('DEL', KEYS[5])
  redis.call('ZREM', aging, ask.id)
end
return 1
