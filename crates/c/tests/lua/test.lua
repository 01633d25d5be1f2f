-- The binding for LuaJIT: crates/c/examples/lua/pollset.lua.

local ffi = require("ffi")
local pollset = require("pollset")

ffi.cdef([[
int pipe(int ends[2]);
long read(int fd, void *buffer, size_t size);
long write(int fd, const void *data, size_t size);
int close(int fd);
]])

local function pipe()
    local ends = ffi.new("int[2]")
    assert(ffi.C.pipe(ends) == 0)
    return ends[0], ends[1]
end

-- The results of a wait: "fd:events" for each, in order.
local function results(set, seconds)
    local list = {}
    for fd, events in set:wait(seconds) do
        list[#list + 1] = fd .. ":" .. events
    end
    return table.concat(list, " ")
end

local set = assert(pollset.new())
local reader, writer = pipe()
assert(set:register(reader, pollset.IN))
assert(set:register(writer, pollset.OUT))
assert(set:length() == 2)
assert(set:interest(writer) == pollset.OUT)
assert(results(set) == writer .. ":4")

assert(ffi.C.write(writer, "x", 1) == 1)
assert(results(set, 0) == reader .. ":1 " .. writer .. ":4")

assert(set:modify(writer, 0))
assert(set:unregister(reader))
for _, seconds in ipairs({ 0, 1e-9, 0.0015, 0.01 }) do
    assert(results(set, seconds) == "")
end

local value, message = set:unregister(reader)
assert(value == nil and message == "No such file or directory")
value, message = set:register(-1, pollset.IN)
assert(value == nil and message == "Bad file descriptor")
assert(not pcall(set.wait, set, -1))

ffi.C.close(reader)
assert(results(set, 1) == writer .. ":8") -- ERR: no reader is left
ffi.C.close(writer)

-- The garbage collector frees objects.
for _ = 1, 10000 do
    pollset.new()
end
set = nil
collectgarbage()
print("all passed")
