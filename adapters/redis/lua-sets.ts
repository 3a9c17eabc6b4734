/**
 * The part of the store script for sets of members, in Lua.
 *
 * - `order:<set>`: the members, sorted by the order in which they entered
 * - `value:<set>`: the values of members, except null
 * - `holders:<set>`: the holders of each member, each with the run to which its seat belongs. The holder `''` is a seat
 *   without a holder
 * - `ending:<set>`: when seats without a holder end; `kept:<set>`: until when places of members that left are kept
 * - `due`: the sets with such deadlines, sorted by the earliest one
 * - `entered`: counts the members that entered
 */
export const LUA_SETS = `
local DUE, ENTERED = base .. 'due', base .. 'entered'

local function order(set) return base .. 'order:' .. set end

local function value(set) return base .. 'value:' .. set end

local function holders(set) return base .. 'holders:' .. set end

local function ending(set) return base .. 'ending:' .. set end

local function kept(set) return base .. 'kept:' .. set end

local function seat(set, member, holder) return cmsgpack.pack({ set, member, holder }) end

local function find(set, member)
  local packed = call('HGET', holders(set), member)
  return packed and cmsgpack.unpack(packed)
end

-- Writes the holders of a member. Without a holder, the member leaves the set. Returns whether it left.
local function store(set, member, found)
  if next(found) then
    call('HSET', holders(set), member, cmsgpack.pack(found))
    return false
  end
  call('HDEL', holders(set), member)
  call('ZREM', order(set), member)
  call('HDEL', value(set), member)
  return true
end

-- Called when the deadlines of a set have changed.
local function reschedule(set)
  local first = math.huge
  for _, key in ipairs({ ending(set), kept(set) }) do
    local entry = call('ZRANGE', key, 0, 0, 'WITHSCORES')
    first = math.min(first, tonumber(entry[2]) or math.huge)
  end
  if first < math.huge then call('ZADD', DUE, first, set) else call('ZREM', DUE, set) end
end

local function set_deadline(key, set, member, at)
  call('ZADD', key, at, member)
  reschedule(set)
end

local function drop_deadline(key, set, member)
  if call('ZREM', key, member) == 1 then reschedule(set) end
end

-- Releases the expired seats and places of a set.
local function expire(set)
  if tonumber(call('ZSCORE', DUE, set) or math.huge) > now then return end
  call('ZREMRANGEBYSCORE', kept(set), '-inf', now)
  for _, member in ipairs(call('ZRANGEBYSCORE', ending(set), '-inf', now)) do
    call('ZREM', ending(set), member)
    local found = find(set, member) or {}
    found[''] = nil
    store(set, member, found)
  end
  reschedule(set)
end

-- Expires some of the sets that are due, so that a set that is not used any more is deleted.
sweep = function(limit)
  for _, set in ipairs(call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, limit)) do expire(set) end
end

local function release(set, member, holder, owner)
  if holder ~= '' then call('SREM', seats_of(owner), seat(set, member, holder)) end
end

-- Releases all seats of a member. Returns whether it was in the set.
local function remove(set, member)
  local found = find(set, member)
  if not found then return false end
  for holder, owner in pairs(found) do release(set, member, holder, owner) end
  drop_deadline(ending(set), set, member)
  return store(set, member, {})
end

-- Releases the seat of a holder. Returns whether the member left the set.
local function remove_seat(set, member, holder)
  local found = find(set, member)
  if not found or not found[holder] then return false end
  release(set, member, holder, found[holder])
  found[holder] = nil
  return store(set, member, found)
end

-- Releases a seat of a dead run. Returns nil if the seat is released or belongs to another run now.
reap_seat = function(dead, packed)
  local set, member, holder = unpack(cmsgpack.unpack(packed))
  expire(set)
  local found = find(set, member)
  if not found or found[holder] ~= dead then return nil end
  local text = call('HGET', value(set), member) or 'null'
  found[holder] = nil
  local last = store(set, member, found) and '1' or '0'
  return cmsgpack.pack({ call('HGET', NODE_OF, dead) or '', set, member, holder, text, last })
end

local function take_seat(set, member, found, holder)
  local before, owner = found[holder], holder == '' and '' or run
  if before == owner then return end
  if before then release(set, member, holder, before) end
  if holder ~= '' then call('SADD', seats_of(run), seat(set, member, holder)) end
  found[holder] = owner
  store(set, member, found)
end

writing.enter = function(set, member, holder, max, ttl, replaces, text)
  if max ~= '' and has_lost() then return { 'forgotten' } end
  expire(set)
  local found = find(set, member)
  local is_replacing = replaces ~= '' and replaces ~= member and call('HEXISTS', holders(set), replaces) == 1
  local is_kept = not found and call('ZSCORE', kept(set), member)
  local has_place = found or is_replacing or is_kept
  if max ~= '' and not has_place and call('ZCARD', order(set)) + call('ZCARD', kept(set)) >= tonumber(max) then
    return { 'full' }
  end
  if is_replacing then remove(set, replaces) end
  if is_kept then drop_deadline(kept(set), set, member) end
  if not found then call('ZADD', order(set), call('INCR', ENTERED), member) end
  if text == 'null' then
    call('HDEL', value(set), member)
  elseif text ~= '' then
    call('HSET', value(set), member, text)
  end
  take_seat(set, member, found or {}, holder)
  if ttl ~= '' then
    set_deadline(ending(set), set, member, now + tonumber(ttl))
  elseif holder == '' then
    drop_deadline(ending(set), set, member)
  end
  sweep(2)
  return { 'ok', found and 0 or 1, call('ZCARD', order(set)) }
end

writing.leave = function(set, member, holder, keep_for)
  expire(set)
  local left
  if holder == '' then left = remove(set, member) else left = remove_seat(set, member, holder) end
  if left and keep_for ~= '' then
    set_deadline(kept(set), set, member, now + tonumber(keep_for))
  elseif holder == '' then
    drop_deadline(kept(set), set, member)
  end
  sweep(2)
  return { 'ok', left and 1 or 0, call('ZCARD', order(set)) }
end

-- A page of the members whose order exceeds a cursor: the next cursor or '', and each member with its value.
reading.members = function(set, after, limit)
  expire(set)
  limit = tonumber(limit)
  local found = call('ZRANGEBYSCORE', order(set), '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, limit + 1)
  local members = {}
  for index = 1, math.min(#found, 2 * limit), 2 do members[#members + 1] = found[index] end
  if #members == 0 then return { 'ok', '' } end
  local page = { 'ok', #found > 2 * limit and found[2 * limit] or '' }
  for index, text in ipairs(call('HMGET', value(set), unpack(members))) do
    page[#page + 1] = members[index]
    page[#page + 1] = text or 'null'
  end
  return page
end

reading.sizes = function(...)
  local sizes = { 'ok' }
  for _, set in ipairs({ ... }) do
    expire(set)
    sizes[#sizes + 1] = call('ZCARD', order(set))
  end
  return sizes
end
`;
