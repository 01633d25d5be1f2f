/* Errors of bad arguments and of missing resources. After them, the object is as before. */
#include "check.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static void arguments(void) {
    struct pollfd results[ROOM];
    struct timespec bad[] = {{-1, 0}, {0, -1}, {0, 1000000000}};
    CHECK(pollset_new(~0u) == NULL && errno == EINVAL);
    CHECK(pollset_new(POLLSET_POLL | POLLSET_EPOLL) == NULL && errno == EINVAL);
    pollset_free(NULL);
    pollset_t *set = pollset_new(0);
    CHECK_ERROR(pollset_register(set, -1, POLLIN), EBADF);
    CHECK_ERROR(pollset_modify(set, 0, POLLIN), ENOENT);
    CHECK_ERROR(pollset_modify(set, -1, POLLIN), ENOENT);
    CHECK_ERROR(pollset_unregister(set, 0), ENOENT);
    CHECK_ERROR(pollset_unregister(set, -1), ENOENT);
    CHECK_ERROR(pollset_interest(set, 0), ENOENT);
    CHECK_ERROR(pollset_interest(set, -1), ENOENT);
    CHECK_ERROR(pollset_wake(set), EINVAL);
    CHECK_ERROR(pollset_wait(set, NULL, 1, &NONE, NULL), EFAULT);
    CHECK_ERROR(pollset_wait(set, results, 0, &NONE, NULL), EINVAL);
    for (size_t i = 0; i < 3; i++) {
        CHECK_ERROR(pollset_wait(set, results, ROOM, &bad[i], NULL), EINVAL);
    }
    CHECK_ERROR(pollset_stats(set, NULL, sizeof(pollset_stats_t)), EFAULT);
    CHECK(pollset_length(set) == 0);
    CHECK(pollset_wait(set, results, ROOM, &NONE, NULL) == 0);
    pollset_free(set);
}

/* Sets RLIMIT_NOFILE, and returns what it was. */
static rlim_t limit_descriptors(rlim_t limit) {
    struct rlimit limits;
    CHECK(getrlimit(RLIMIT_NOFILE, &limits) == 0);
    rlim_t before = limits.rlim_cur;
    limits.rlim_cur = limit;
    CHECK(setrlimit(RLIMIT_NOFILE, &limits) == 0);
    return before;
}

static void no_descriptor(pollset_t *set) {
    struct pollfd results[ROOM];
    rlim_t before = limit_descriptors(0);
    CHECK(pollset_new(POLLSET_WAKE) == NULL && errno == EMFILE);
    pollset_t *without = pollset_new(0);
    CHECK(without != NULL);
    pollset_free(without);
    limit_descriptors(before);
    pid_t child = fork();
    if (child == 0) {
        before = limit_descriptors(0);
        CHECK_ERROR(pollset_wake(set), EMFILE);
        CHECK_ERROR(pollset_wait(set, results, ROOM, &NONE, NULL), EMFILE);
        limit_descriptors(before);
        CHECK(pollset_wait(set, results, ROOM, &NONE, NULL) == 0);
        CHECK(pollset_wake(set) == 0);
        CHECK(pollset_wait(set, results, ROOM, NULL, NULL) == 0);
        _exit(0);
    }
    join_child(child);
}

static void more_descriptors_than_the_process_may_open(pollset_t *set) {
    enum { COUNT = 40 };
    struct pollfd results[ROOM];
    for (int i = 0; i < COUNT; i++) {
        CHECK(pollset_register(set, 1000 + i, POLLIN) == 0);
    }
    CHECK(pollset_wait(set, results, ROOM, &NONE, NULL) == COUNT);
    rlim_t before = limit_descriptors(COUNT - 1);
    CHECK_ERROR(pollset_wait(set, results, ROOM, &NONE, NULL), EINVAL);
    CHECK(pollset_unregister(set, 1000) == 0);
    CHECK(pollset_wait(set, results, ROOM, &NONE, NULL) == COUNT - 1);
    limit_descriptors(before);
}

/* A child, such as a daemon, has closed all descriptors; and may have opened a file with the same number. */
static void the_descriptor_was_closed(void) {
    enum { CLOSED, WITH_LOWER_ONE, IS_OTHER_FILE, MODES };
    for (int mode = CLOSED; mode < (HAS_EVENTFD ? MODES : IS_OTHER_FILE); mode++) {
        struct pollfd results[ROOM];
        int lower = dup(0), next = dup(0), ends[2];
        CHECK(lower != -1 && next > lower && close(next) == 0);
        pollset_t *set = pollset_new(POLLSET_WAKE);
        make_pipe(ends);
        pid_t child = fork();
        if (child == 0) {
            CHECK(close(next) == 0);
            if (mode == WITH_LOWER_ONE) {
                CHECK(close(lower) == 0);
            } else if (mode == IS_OTHER_FILE) {
                CHECK(dup2(ends[1], next) == next);
            }
            CHECK_ERROR(pollset_wait(set, results, ROOM, &NONE, NULL), EBADF);
            CHECK_ERROR(pollset_wake(set), EBADF);
            if (mode == IS_OTHER_FILE) {
                CHECK(write(next, "x", 1) == 1); /* it is the pipe */
            } else {
                CHECK_ERROR(fcntl(next, F_GETFD), EBADF);
            }
            _exit(0);
        }
        join_child(child);
        close_pipe(ends);
        CHECK(close(lower) == 0);
        pollset_free(set);
    }
}

/* Which of them makes the descriptor for wakes depends on how the library was built. */
static const int NEW_WAKERS[] = {SYS_eventfd2, SYS_socketpair};

static const int WAITS[] = {
#ifdef SYS_poll
    SYS_poll,
#endif
#ifdef SYS_ppoll_time64
    SYS_ppoll_time64,
#endif
#ifdef SYS_epoll_wait
    SYS_epoll_wait,
#endif
#ifdef SYS_epoll_pwait2
    SYS_epoll_pwait2,
#endif
    SYS_ppoll, SYS_epoll_pwait};

/* The kernel refuses these calls with this error, in this process from now on. Returns 0 where that can't be
 * done, as under an emulator. */
static int refuse(const int *calls, size_t count, unsigned error) {
    struct sock_filter filter[32];
    unsigned short length = 0;
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
    for (size_t i = 0; i < count; i++) {
        filter[length++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], 0, 1);
        filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
    }
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {length, filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == -1) {
        puts("SKIPPED: the system has no seccomp filters");
        fflush(stdout);
        return 0;
    }
    return 1;
}

static void the_system_has_no_descriptor_or_no_memory(pollset_t *set) {
    static const int ERRORS[] = {EMFILE, ENFILE, ENOMEM};
    struct pollfd results[ROOM];
    for (size_t i = 0; i < 3; i++) {
        pid_t child = fork();
        if (child == 0) {
            if (refuse(NEW_WAKERS, 2, (unsigned)ERRORS[i])) {
                CHECK(pollset_new(POLLSET_WAKE) == NULL && errno == ERRORS[i]);
                CHECK_ERROR(pollset_wake(set), ERRORS[i]);
                CHECK_ERROR(pollset_wait(set, results, ROOM, &NONE, NULL), ERRORS[i]);
            }
            _exit(0);
        }
        join_child(child);
    }
}

static void the_kernel_has_no_memory_for_a_wait(pollset_t *set) {
    struct pollfd results[ROOM] = {{0}};
    for (int fd = 1000; fd < 1020; fd++) {
        CHECK(pollset_register(set, fd, POLLIN) == 0);
    }
    pid_t child = fork();
    if (child == 0) {
        if (refuse(WAITS, sizeof WAITS / sizeof WAITS[0], ENOMEM)) {
            CHECK_ERROR(pollset_wait(set, results, ROOM, &NONE, NULL), ENOMEM);
            CHECK_ERROR(pollset_wait(set, results, ROOM, NULL, NULL), ENOMEM);
            CHECK(results[0].fd == 0 && results[0].revents == 0);
            CHECK(pollset_length(set) == 20);
        }
        _exit(0);
    }
    join_child(child);
}

int main(void) {
    arguments();
    FOR_EACH_ENGINE(set, POLLSET_WAKE, no_descriptor(set));
    the_descriptor_was_closed();
    FOR_EACH_ENGINE(set, 0, more_descriptors_than_the_process_may_open(set));
    FOR_EACH_ENGINE(set, POLLSET_WAKE, the_system_has_no_descriptor_or_no_memory(set));
    FOR_EACH_ENGINE(set, 0, the_kernel_has_no_memory_for_a_wait(set));
    return 0;
}
