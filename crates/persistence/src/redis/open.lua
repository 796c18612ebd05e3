-- ask.device begins a session with ask.server. With ask.again it had one, of which the server knows.
local at = tonumber(redis.call('ZSCORE', acknowledged, ask.device) or nil)
local known = at ~= nil
if not known then
  at = last
  if redis.call('ZCARD', acknowledged) == 0 then
    local oldest = redis.call('ZRANGE', log, 0, 0, 'WITHSCORES')[2]
    at = oldest and oldest - 1 or last
  end
  redis.call('ZADD', acknowledged, text(at), ask.device)
  redis.call('ZADD', sent, text(at), ask.device)
end
if ask.again or is_connected(ask.device) then
  redis.call('ZADD', sent, 'GT', text(last), ask.device)
end
if redis.call('SADD', connected, ask.server .. ask.device) == 1 then
  redis.call('HINCRBY', servers, ask.server, 1)
end
redis.call('ZADD', seen, text(ask.now), ask.device)
write({inbox, acknowledged, sent, seen, connected, servers})
local reached = tonumber(redis.call('ZSCORE', sent, ask.device))
return answer({acknowledged = at, sent = math.max(at, reached), last = last, known = known, topics = followed_by(ask.device)})
