/**
 * The part of the store script for rates, in Lua: token buckets. `rate:<key>` has the tokens, and when they were
 * counted.
 */
export const LUA_RATES = `
-- Tolerance for rounding errors, so that a token is available after the returned time.
local EPSILON = 1e-6

writing.take = function(key, burst, per, count)
  local bucket = base .. 'rate:' .. key
  burst, per, count = tonumber(burst), tonumber(per), tonumber(count)
  local before = call('HMGET', bucket, 'tokens', 'at')
  local tokens, at = tonumber(before[1]) or burst, tonumber(before[2]) or now
  -- The clock of Redis may be set back.
  tokens = math.min(burst, tokens + math.max(0, now - at) * (burst / per))
  local granted = math.min(count, math.floor(tokens + EPSILON))
  call('HSET', bucket, 'tokens', tokens - granted, 'at', now)
  -- A bucket that is full again may be deleted: a new one is full, too.
  call('PEXPIRE', bucket, per)
  local wait = granted < count and math.ceil((1 - (tokens - granted)) * (per / burst)) or 0
  return { 'ok', granted, wait }
end
`;
