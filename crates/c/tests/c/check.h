/* What the tests share. A test that fails prints the line, and aborts. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pollset.h>

#define CHECK(condition)                                                                    \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            fprintf(stderr, "%s:%d: %s (errno: %s)\n", __FILE__, __LINE__, #condition,      \
                    strerror(errno));                                                       \
            abort();                                                                        \
        }                                                                                   \
    } while (0)

/* The call returns -1 and sets errno. */
#define CHECK_ERROR(call, number)                                                           \
    do {                                                                                    \
        errno = 0;                                                                          \
        CHECK((call) == -1 && errno == (number));                                           \
    } while (0)

#ifndef RUNS
#define RUNS 20 /* of what takes long, or doesn't fail each time */
#endif

enum { ROOM = 64 };

/* A library built with the system calls that every Unix has. */
#ifdef PORTABLE
enum { HAS_PPOLL = 0, HAS_EVENTFD = 0 };
#else
enum { HAS_PPOLL = 1, HAS_EVENTFD = 1 };
#endif

static const struct timespec NONE = {0, 0};
/* The engines on which the tests run. */
static const unsigned ENGINES[] = {0, POLLSET_POLL, POLLSET_EPOLL};

/* An object of each engine, for a test. */
#define FOR_EACH_ENGINE(set, flags, ...)                                                     \
    for (size_t engine_ = 0; engine_ < 3; engine_++) {                                      \
        pollset_t *set = pollset_new(ENGINES[engine_] | (flags));                           \
        CHECK(set != NULL);                                                                 \
        __VA_ARGS__;                                                                         \
        pollset_free(set);                                                                  \
    }

static inline double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static inline void make_pipe(int ends[2]) {
    CHECK(pipe(ends) == 0);
}

/* The child has succeeded. */
static inline void join_child(pid_t child) {
    int status;
    CHECK(child != -1 && waitpid(child, &status, 0) == child && status == 0);
}

static inline void close_pipe(int ends[2]) {
    CHECK(close(ends[0]) == 0);
    CHECK(close(ends[1]) == 0);
}
