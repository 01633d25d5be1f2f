/* Waits allocate memory only after registrations, and an object without memory is an error. Counts the calls of malloc(3), with glibc. */
#include "check.h"

#ifndef __GLIBC__
int main(void) {
    puts("SKIPPED: not glibc");
    return 0;
}
#else

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

static unsigned allocations;
static int is_exhausted;

void *malloc(size_t size) {
    allocations++;
    return is_exhausted ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    allocations++;
    return __libc_realloc(memory, size);
}

static void waits_allocate_nothing(pollset_t *set) {
    enum { COUNT = 100 };
    struct pollfd results[COUNT];
    int pipes[COUNT][2];
    sigset_t mask;
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
    for (int i = 0; i < COUNT; i++) {
        make_pipe(pipes[i]);
        CHECK(pollset_register(set, pipes[i][i % 2], POLLIN | POLLOUT) == 0);
    }
    for (int i = 0; i < 4000; i++) {
        if (i == 2000) {
            allocations = 0;
        }
        struct timespec time = {0, i % 3};
        CHECK(pollset_modify(set, pipes[1][1], i % 2 ? POLLIN : POLLOUT) == 0);
        int room = i % 5 + 1;
        CHECK(pollset_wait(set, results, (size_t)room, &time, HAS_PPOLL && i % 2 ? &mask : NULL) == room);
        CHECK(pollset_wake(set) == 0);
    }
    CHECK(allocations == 0);
    for (int i = 0; i < COUNT; i++) {
        CHECK(pollset_unregister(set, pipes[i][i % 2]) == 0);
        close_pipe(pipes[i]);
    }
}

/* Also if it is the first call of the process. */
static void an_object_without_memory_is_an_error(void) {
    int next = dup(0);
    CHECK(next != -1 && close(next) == 0);
    for (int i = 0; i < 2; i++) {
        is_exhausted = 1;
        pollset_t *set = pollset_new(POLLSET_WAKE);
        is_exhausted = 0;
        CHECK(set == NULL && errno == ENOMEM);
        CHECK_ERROR(fcntl(next, F_GETFD), EBADF);
        set = pollset_new(POLLSET_WAKE);
        CHECK(set != NULL);
        pollset_free(set);
    }
}

/* Without a forced engine, any wait may make an instance. */
int main(void) {
    an_object_without_memory_is_an_error();
    for (size_t engine = 1; engine < 3; engine++) {
        pollset_t *set = pollset_new(ENGINES[engine] | POLLSET_WAKE);
        waits_allocate_nothing(set);
        pollset_free(set);
    }
    return 0;
}
#endif
