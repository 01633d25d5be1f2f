-- Polling objects for LuaJIT, on libpollset.
--
--     local pollset = require("pollset")
--     local set = pollset.new()
--     set:register(fd, pollset.IN)
--     for fd, events in set:wait(1.5) do  -- seconds; nil: without a limit
--         ...
--     end
--
-- A call that fails returns nil and the text of the error; wait() raises it.

local ffi = require("ffi")
local bit = require("bit")

-- Those declarations of pollset.h, <poll.h> and <time.h> that are used here. (On 32-bit systems of musl, time_t has 64
-- bits: there `struct timespec` is another one.)
ffi.cdef([[
typedef struct pollset_t pollset_t;
struct pollfd { int fd; short events; short revents; };
struct timespec { long tv_sec; long tv_nsec; };
pollset_t *pollset_new(unsigned int flags);
void pollset_free(pollset_t *set);
int pollset_register(pollset_t *set, int fd, short events);
int pollset_modify(pollset_t *set, int fd, short events);
int pollset_unregister(pollset_t *set, int fd);
int pollset_interest(const pollset_t *set, int fd);
size_t pollset_length(const pollset_t *set);
int pollset_wait(pollset_t *set, struct pollfd *results, size_t room, const struct timespec *timeout,
                 const void *mask);
char *strerror(int number);
]])

local lib = ffi.load(os.getenv("LIBPOLLSET") or "pollset")

local pollset = { IN = 0x1, PRI = 0x2, OUT = 0x4, ERR = 0x8, HUP = 0x10, NVAL = 0x20 }

local function check(value)
    if value == -1 then
        return nil, ffi.string(ffi.C.strerror(ffi.errno()))
    end
    return value
end

local methods = {}

function pollset.new()
    local set = lib.pollset_new(0)
    if set == nil then
        return nil, ffi.string(ffi.C.strerror(ffi.errno()))
    end
    return setmetatable({
        set = ffi.gc(set, lib.pollset_free),
        room = 256,
        results = ffi.new("struct pollfd[256]"),
        timeout = ffi.new("struct timespec"),
    }, { __index = methods })
end

function methods:register(fd, events)
    return check(lib.pollset_register(self.set, fd, events))
end

function methods:modify(fd, events)
    return check(lib.pollset_modify(self.set, fd, events))
end

function methods:unregister(fd)
    return check(lib.pollset_unregister(self.set, fd))
end

function methods:interest(fd)
    return check(lib.pollset_interest(self.set, fd))
end

function methods:length()
    return tonumber(lib.pollset_length(self.set))
end

--- An iterator over the descriptors that have events, and the events. It has none if the time is up.
function methods:wait(seconds)
    local timeout = nil
    if seconds then
        timeout = self.timeout
        local nanoseconds = math.ceil(seconds * 1e9)
        timeout.tv_sec = math.floor(nanoseconds / 1e9)
        timeout.tv_nsec = nanoseconds % 1e9
    end
    local count, message = check(lib.pollset_wait(self.set, self.results, self.room, timeout, nil))
    if not count then
        error(message, 2)
    end
    local results, next = self.results, -1
    return function()
        next = next + 1
        if next < count then
            return results[next].fd, bit.band(results[next].revents, 0xffff)
        end
    end
end

return pollset
