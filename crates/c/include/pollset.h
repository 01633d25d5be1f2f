#ifndef POLLSET_H
#define POLLSET_H

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* The version of this header: that of the library is pollset_version(). */
#define POLLSET_VERSION "0.1.0"

/* The time_t of 64 bits that glibc has on 32-bit systems. */
#if defined(_TIME_BITS) && defined(__TIMESIZE)
#if _TIME_BITS == 64 && __TIMESIZE == 32
#define pollset_wait pollset_wait_time64
#endif
#endif

/*
 For pollset_new(): all waits are on poll(2).
 */
#define POLLSET_POLL 1

/*
 For pollset_new(): all waits are on epoll(7), where it can be used.
 */
#define POLLSET_EPOLL 2

/*
 For pollset_new(): pollset_wake() can be used with the object, which takes a descriptor (two on systems
 other than Linux).
 */
#define POLLSET_WAKE 4

/*
 For pollset_new(): the program unregisters every descriptor before it closes it. Waits of an object
 with thousands of descriptors then take less time. A number that is closed all the same may be missing
 from the results, or have those of its old file, for about a second.
 */
#define POLLSET_RELAXED_AUDIT 8

/*
 A polling object: a set of file descriptors, each with the events that it is watched for.
 */
typedef struct pollset_t pollset_t;

/*
 The counters of a polling object, from its creation on.

 Later versions may add members at the end.
 */
typedef struct pollset_stats_t {
    /*
     Waits on poll(2).
     */
    uint64_t poll_waits;
    /*
     Waits on epoll(7).
     */
    uint64_t epoll_waits;
    /*
     Descriptors that were added to epoll or modified there, or were left to poll(2) because epoll may not
     report their kind of file correctly.
     */
    uint64_t changes_applied;
    /*
     Checks whether the number of a descriptor on epoll still refers to the same file.
     */
    uint64_t audited;
    /*
     Descriptors on epoll whose events were compared with those of poll(2).
     */
    uint64_t compared;
    /*
     epoll instances that were replaced.
     */
    uint64_t replaced;
    /*
     Failures to create, fill or use an epoll instance.
     */
    uint64_t refused;
    /*
     What the last wait was on: `POLLSET_POLL` or `POLLSET_EPOLL`; 0 before the first one.
     */
    uint64_t last_engine;
} pollset_stats_t;

#ifdef __cplusplus
extern "C" {
#endif /* __cplusplus */

/*
 Makes a polling object.

 `flags` is 0, or a combination of

 - `POLLSET_WAKE`: pollset_wake() can be used with the object. That takes a descriptor (two on systems
   other than Linux).
 - `POLLSET_POLL`: all waits are on poll(2).
 - `POLLSET_EPOLL`: all waits are on epoll(7), where it can be used. The results are the same.
   Without this flag and the previous one, each wait is on the one that costs less.
 - `POLLSET_RELAXED_AUDIT`: the program unregisters every descriptor before it closes it. Waits of an
   object with thousands of descriptors then take less time. A number that is closed all the same may be
   missing from the results, or have those of its old file, for about a second.

 An object takes one more descriptor when a wait makes an epoll instance: if it has more than 8
 descriptors, and waits often, or with `POLLSET_EPOLL`. Several objects are independent of each other.

 # Return value

 The object, to be freed with pollset_free(); or NULL, with `errno` set.

 # Errors

 - `EINVAL`: `flags` has other bits, or both `POLLSET_POLL` and `POLLSET_EPOLL`.
 - `EMFILE`, `ENFILE`: with `POLLSET_WAKE`, the process or the system has no descriptor left.
 - `ENOMEM`: there is not enough memory.

 # Attributes

 - Threads: any thread may call it at any time.
 - Signal handlers: may not call it.
 - Cancellation: it is no cancellation point.
 - fork(2): a child has a copy of the object.
 */
pollset_t *pollset_new(unsigned int flags);

/*
 Frees a polling object, and closes its own descriptors. Registered descriptors stay open. `set` may
 be NULL. In a forked child, the descriptor of an epoll instance that the parent has made stays open.

 No other function may be using the object, or be called with it later.

 # Attributes

 - Threads: any thread may call it.
 - Signal handlers: may not call it.
 - Cancellation: it is no cancellation point.
 - fork(2): a child frees its own copy of the object. It need not.
 */
void pollset_free(pollset_t *set);

/*
 Registers the descriptor `fd` with a polling object, to be watched for `events`.

 `events` is a combination of the bits of `<poll.h>`: `POLLIN`, `POLLPRI`, `POLLOUT` and the others that
 poll(2) of the system takes. `POLLERR`, `POLLHUP` and `POLLNVAL` are reported in any case. If `fd` is
 registered already, its events are replaced, and it keeps its place in the order of registration.

 The descriptor isn't looked at. So a number that is not open is no error: pollset_wait() reports
 `POLLNVAL` for it. Unregister a descriptor before you close it.

 A wait in progress in another thread may not take account of the change; the next one does.

 # Return value

 0; or -1, with `errno` set.

 # Errors

 - `EBADF`: `fd` is negative.
 - `EINVAL`: `fd` is the object's own, which pollset_wait() watches for pollset_wake().

 # Attributes

 - Threads: any thread may call it at any time, also during a wait.
 - Signal handlers: may not call it.
 - Cancellation: it is no cancellation point.
 - fork(2): a child changes its own copy of the object.
 */
int pollset_register(pollset_t *set,
                     int fd,
                     short events);

/*
 Replaces the events that a registered descriptor is watched for.

 It keeps its place in the order of registration. For the rest see pollset_register().

 # Return value

 0; or -1, with `errno` set.

 # Errors

 - `ENOENT`: `fd` is not registered.

 # Attributes

 - Threads: any thread may call it at any time, also during a wait.
 - Signal handlers: may not call it.
 - Cancellation: it is no cancellation point.
 - fork(2): a child changes its own copy of the object.
 */
int pollset_modify(pollset_t *set, int fd, short events);

/*
 Stops watching a descriptor.

 Call it before the descriptor is closed. A wait in progress in another thread may still report the
 descriptor, and the results of a wait that is over may have it.

 # Return value

 0; or -1, with `errno` set.

 # Errors

 - `ENOENT`: `fd` is not registered.

 # Attributes

 - Threads: any thread may call it at any time, also during a wait.
 - Signal handlers: may not call it.
 - Cancellation: it is no cancellation point.
 - fork(2): a child changes its own copy of the object.
 */
int pollset_unregister(pollset_t *set, int fd);

/*
 Returns the events that a descriptor is watched for.

 # Return value

 The bits with which it was registered, 0 to 65535; or -1, with `errno` set.

 # Errors

 - `ENOENT`: `fd` is not registered.

 # Attributes

 - Threads: any thread may call it at any time, also during a wait.
 - Signal handlers: may not call it.
 - Cancellation: it is no cancellation point.
 - fork(2): a child reads its own copy of the object.
 */
int pollset_interest(const pollset_t *set, int fd);

/*
 Returns the number of registered descriptors.

 A wait returns at most this number of results, unless another thread registers more descriptors.

 # Attributes

 - Threads: any thread may call it at any time, also during a wait.
 - Signal handlers: may not call it.
 - Cancellation: it is no cancellation point.
 - fork(2): a child reads its own copy of the object.
 */
size_t pollset_length(const pollset_t *set);

/*
 Waits until registered descriptors have events, and writes them to `results`, which has room for
 `room` of them.

 A result has the number of the descriptor in `fd`, and its events in `revents`: those that it is
 watched for, and `POLLERR`, `POLLHUP` and `POLLNVAL`. `events` is 0. If there is room for all, the results
 are in the order of registration, and each wait reports a descriptor that stays ready.

 If more descriptors have events than there is room for, the results are some of them, and the next waits
 have the others: in a round, each ready descriptor is reported once, before any is reported again. One that
 is registered during a round comes in the next round. A round ends when all ready descriptors have been
 reported, or when a wait has enough room.

 Some files report a change to poll(2) only once. With too little room it would be lost. So the regular files
 that report it with `POLLPRI` or `POLLERR`, such as /proc/self/mounts, get the places of others, which
 come in the next wait. If more such files have changed than there is room for, some changes are lost. Perf
 events need room for pollset_length() results.

 `timeout` is a limit for the wait; NULL is no limit. With a timeout of 0 the function returns at once. A wait
 without results lasts at least as long as `timeout`, unless a signal handler or pollset_wake() ends it. It may
 last longer, as the system's timers decide.

 `mask` is the signal mask of the thread while it waits, as that of ppoll(2): to set it and to wait
 are one step. With NULL, the mask stays as it is.

 # Return value

 The number of results. 0: the time was up, or pollset_wake() has ended the wait. Or -1, with `errno`
 set; then `results` is as it was.

 # Errors

 - `EBADF`: in a forked child, with `POLLSET_WAKE`, as that of pollset_wake().
 - `EBUSY`: another thread waits with this object.
 - `EFAULT`: `results` is NULL.
 - `EINTR`: a signal handler ran while the thread slept, also one with `SA_RESTART`.
 - `EINVAL`: `room` is 0; `timeout` is negative, or its `tv_nsec` is not below 1,000,000,000; or there
   are more descriptors than the process may open (`RLIMIT_NOFILE`).
 - `EMFILE`, `ENFILE`: in a forked child, with `POLLSET_WAKE`, as those of pollset_new().
 - `ENOMEM`: the kernel has no memory.
 - `ENOSYS`: `mask` is not NULL, and the system has no ppoll(2).

 # Attributes

 - Threads: any thread may call it, one at a time for each object. Other threads may change the object meanwhile.
 - Signal handlers: may not call it. One that interrupts it must return.
 - Cancellation: it is no cancellation point.
 - fork(2): a child waits with its own copy of the object, also if it was forked during a wait.
 */
int pollset_wait(pollset_t *set,
                 struct pollfd *results,
                 size_t room,
                 const struct timespec *timeout,
                 const sigset_t *mask);

/*
 Ends the wait in progress with a polling object, or else its next one.

 That wait returns its results; 0, if there are none. Several calls before a wait count as one.

 If a signal handler calls it, the wait that the signal has interrupted may fail with `EINTR`. Then the next
 wait returns at once.

 In a forked child, a call ends waits of the child only, and one of the parent ends waits of the parent only.
 For that, the first call of this function or of pollset_wait() in the child opens another file under the
 number of the object's own descriptor. A call before the fork counts for the parent.

 # Return value

 0; or -1, with `errno` set.

 # Errors

 - `EBADF`: in a forked child, the program has closed the object's own descriptor, or has lowered
   `RLIMIT_NOFILE` to its number or below. If the number is that of another file now, only Linux notices
   that, unless it is an eventfd(2).
 - `EINVAL`: the object was made without `POLLSET_WAKE`.
 - `EMFILE`, `ENFILE`, `ENOMEM`: in a forked child, as those of pollset_new(). A later call tries again.

 # Attributes

 - Threads: any thread may call it at any time.
 - Signal handlers: any may call it. It leaves `errno` as it was, unless it fails.
 - Cancellation: it is no cancellation point.
 - fork(2): a child wakes its own waits.
 */
int pollset_wake(pollset_t *set);

/*
 Copies the counters of a polling object to `stats`, which has `size` bytes.

 `size` is `sizeof(pollset_stats_t)`. So a program that was compiled with an older header gets the
 members that it knows; members that the library doesn't know are 0.

 # Return value

 0; or -1, with `errno` set.

 # Errors

 - `EFAULT`: `stats` is NULL.

 # Attributes

 - Threads: any thread may call it at any time, also during a wait.
 - Signal handlers: may not call it.
 - Cancellation: it is no cancellation point.
 - fork(2): a child reads its own copy of the object.
 */
int pollset_stats(const pollset_t *set, pollset_stats_t *stats, size_t size);

/*
 Returns the version of the library, such as "0.1.0": that of the library that is loaded, which may
 be newer than the `POLLSET_VERSION` of the header.

 # Attributes

 It may be called anywhere.
 */
const char *pollset_version(void);

#ifdef __cplusplus
}  /* extern "C" */
#endif  /* __cplusplus */

#endif  /* POLLSET_H */
