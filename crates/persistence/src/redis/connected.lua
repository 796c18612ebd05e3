-- For scripts that have to know who is connected. A server whose lease has run out has no sessions any more;
-- what it had sent is not known, so everything counts as sent. The lease is on another node perhaps: who
-- calls has to look, and calls again.
local online = {}
do
  local alive, dead = {}, {}
  for _, server in ipairs(ask.alive) do
    alive[server] = true
  end
  for _, server in ipairs(ask.dead) do
    dead[server] = true
  end
  local doubts = {}
  for _, server in ipairs(redis.call('HKEYS', servers)) do
    if alive[server] then
      online[#online + 1] = server
    elseif not dead[server] then
      doubts[#doubts + 1] = server
    end
  end
  if #doubts > 0 then
    return redis.error_reply('DOUBT ' .. table.concat(doubts, ' '))
  end
  for _, server in ipairs(ask.dead) do
    if redis.call('HDEL', servers, server) == 1 then
      for _, member in ipairs(redis.call('SMEMBERS', connected)) do
        if string.sub(member, 1, #server) == server then
          redis.call('SREM', connected, member)
          redis.call('ZADD', sent, 'XX', 'GT', text(last), string.sub(member, #server + 1))
        end
      end
    end
  end
end

local function is_connected(device)
  for _, server in ipairs(online) do
    if redis.call('SISMEMBER', connected, server .. device) == 1 then
      return true
    end
  end
  return false
end
