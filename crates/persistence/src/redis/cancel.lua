-- Takes ask.mark out if there is somebody it has not been sent to. With ask.always as if it had never come.
local member, seq = find(ask.mark)
local taken = false
if member then
  taken = ask.always or redis.call('ZCARD', acknowledged) == 0
  for _, device in ipairs(not taken and redis.call('ZRANGEBYSCORE', sent, '-inf', '(' .. text(seq)) or {}) do
    taken = taken or not is_connected(device)
  end
  if taken then
    take_out(member)
    write({})
  end
end
if ask.always then
  redis.call('ZREM', placed, ask.mark)
end
return answer({taken = taken})
