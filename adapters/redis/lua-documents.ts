/**
 * The part of the store script for documents, in Lua. `doc:<key>` has the version, a space, and the JSON. Documents are
 * read with MGET, without the script.
 */
export const LUA_DOCUMENTS = `
local function document(key) return base .. 'doc:' .. key end

-- The version of a document, or nil. Reads only the beginning, because documents may be large.
local function version_of(key)
  return string.match(call('GETRANGE', document(key), 0, 127), '^(%S+) ')
end

-- The command "publish" is PUBLISH, or SPUBLISH in a cluster.
local function notify(publish, channel, version, key) call(publish, channel, version .. ' ' .. key) end

writing.put = function(publish, channel, version, key, text, expected, ttl)
  if expected == 'absent' and has_lost() then return { 'forgotten' } end
  if expected ~= '' and (version_of(key) or 'absent') ~= expected then return { 'conflict' } end
  if ttl == '' then
    call('SET', document(key), version .. ' ' .. text)
  else
    call('SET', document(key), version .. ' ' .. text, 'PX', ttl)
  end
  notify(publish, channel, version, key)
  return { 'ok' }
end

writing.delete = function(publish, channel, version, key, expected)
  local found = version_of(key)
  if not found then return { 'ok', 0 } end
  if expected ~= '' and found ~= expected then return { 'conflict' } end
  call('DEL', document(key))
  notify(publish, channel, version, key)
  return { 'ok', 1 }
end

writing.touch = function(ttl, ...)
  for _, key in ipairs({ ... }) do call('PEXPIRE', document(key), ttl) end
  return { 'ok' }
end
`;
