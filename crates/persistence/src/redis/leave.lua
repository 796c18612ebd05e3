-- A session of ask.device with ask.server has ended, ask.gone if it was the last one there.
if redis.call('ZSCORE', acknowledged, ask.device) then
  redis.call('ZADD', sent, 'XX', 'GT', text(math.min(ask.sent, last)), ask.device)
  redis.call('ZADD', seen, text(ask.now), ask.device)
end
if ask.gone and redis.call('SREM', connected, ask.server .. ask.device) == 1
  and redis.call('HINCRBY', servers, ask.server, -1) < 1 then
  redis.call('HDEL', servers, ask.server)
end
if row[1] then
  renew({})
end
return answer({})
