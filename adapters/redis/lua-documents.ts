/**
 * Documents, in the Lua of a Redis script. `doc:<key>` has the version, a space, and the JSON. Documents are read with
 * MGET.
 */
export const LUA_DOCUMENTS = `
local function document(key) return base .. 'doc:' .. key end

-- The version of a document, or nil. Reads only the beginning, because documents may be large.
local function version_of(key)
  return string.match(call('GETRANGE', document(key), 0, 127), '^(%S+) ')
end

local function notify(channel, version, key) call('PUBLISH', channel, version .. ' ' .. key) end

writing.put = function(channel, version, key, text, expected, ttl)
  if expected ~= '' and (version_of(key) or 'absent') ~= expected then return { 'conflict' } end
  if ttl == '' then
    call('SET', document(key), version .. ' ' .. text)
  else
    call('SET', document(key), version .. ' ' .. text, 'PX', ttl)
  end
  notify(channel, version, key)
  return { 'ok' }
end

writing.delete = function(channel, version, key, expected)
  local found = version_of(key)
  if not found then return { 'ok', 0 } end
  if expected ~= '' and found ~= expected then return { 'conflict' } end
  call('DEL', document(key))
  notify(channel, version, key)
  return { 'ok', 1 }
end

writing.touch = function(ttl, ...)
  for _, key in ipairs({ ... }) do call('PEXPIRE', document(key), ttl) end
  return { 'ok' }
end
`;
