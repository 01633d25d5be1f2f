/* Other threads, forked children, cancellation. */
#include "check.h"

#include <sys/syscall.h>

static void *wake_later(void *set) {
    usleep(20000);
    CHECK(pollset_wake(set) == 0);
    return NULL;
}

static void a_wake_ends_the_wait_or_the_next_one(pollset_t *set) {
    struct pollfd results[ROOM];
    pthread_t thread;
    /* During a wait without a limit. */
    CHECK(pthread_create(&thread, NULL, wake_later, set) == 0);
    CHECK(pollset_wait(set, results, ROOM, NULL, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    /* Before it; and several count as one. */
    CHECK(pollset_wake(set) == 0 && pollset_wake(set) == 0);
    CHECK(pollset_wait(set, results, ROOM, NULL, NULL) == 0);
    struct timespec time = {0, 1000000};
    double start = now();
    CHECK(pollset_wait(set, results, ROOM, &time, NULL) == 0);
    CHECK(now() - start >= 1e-3);
    /* With results, which it doesn't take room from; and its descriptor isn't seen. */
    int ends[2];
    make_pipe(ends);
    CHECK(pollset_length(set) == 0);
    CHECK(pollset_register(set, ends[1], POLLOUT) == 0);
    CHECK(pollset_wake(set) == 0);
    CHECK(pollset_wait(set, results, 1, NULL, NULL) == 1 && results[0].fd == ends[1]);
    CHECK(pollset_length(set) == 1);
    for (int fd = 0; fd < 64; fd++) {
        if (fd != ends[1]) {
            CHECK_ERROR(pollset_interest(set, fd), ENOENT);
            CHECK_ERROR(pollset_modify(set, fd, 0), ENOENT);
            CHECK_ERROR(pollset_unregister(set, fd), ENOENT);
        }
    }
    CHECK(pollset_unregister(set, ends[1]) == 0);
    close_pipe(ends);
}

static void its_own_descriptor_cannot_be_changed(void) {
    int next = dup(0);
    CHECK(next != -1 && close(next) == 0);
    pollset_t *set = pollset_new(POLLSET_WAKE);
    CHECK(fcntl(next, F_GETFD) == FD_CLOEXEC);
    CHECK_ERROR(pollset_register(set, next, POLLIN), EINVAL);
    CHECK_ERROR(pollset_modify(set, next, 0), ENOENT);
    CHECK_ERROR(pollset_unregister(set, next), ENOENT);
    CHECK_ERROR(pollset_interest(set, next), ENOENT);
    pollset_free(set);
    CHECK_ERROR(fcntl(next, F_GETFD), EBADF);
}

static pollset_t *in_handler;

static void wake_in_handler(int number) {
    (void)number;
    errno = EXDEV;
    CHECK(pollset_wake(in_handler) == 0);
    CHECK(errno == EXDEV);
}

static void a_signal_handler_may_wake(pollset_t *set) {
    struct pollfd results[ROOM];
    in_handler = set;
    CHECK(raise(SIGUSR2) == 0);
    CHECK(pollset_wait(set, results, ROOM, NULL, NULL) == 0);
}

static void *wait_for_it(void *set) {
    struct pollfd results[ROOM];
    int count;
    do {
        count = pollset_wait(set, results, ROOM, NULL, NULL);
        /* With musl, pthread_cancel(3) interrupts it. */
    } while (count == -1 && (errno == EBUSY || errno == EINTR));
    CHECK(count == 0);
    return NULL;
}

static void until_another_thread_waits(pollset_t *set) {
    struct pollfd results[ROOM];
    errno = 0;
    while (pollset_wait(set, results, ROOM, &NONE, NULL) == 0) {
        usleep(1000); /* the other one can't wait during this wait */
    }
    CHECK(errno == EBUSY);
}

static void one_thread_waits(pollset_t *set) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, wait_for_it, set) == 0);
    until_another_thread_waits(set);
    /* Another thread may change the object. */
    CHECK(pollset_register(set, 0, 0) == 0 && pollset_unregister(set, 0) == 0);
    CHECK(pollset_wake(set) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void a_thread_is_not_cancelled_in_a_wait(pollset_t *set) {
    struct pollfd results[ROOM];
    pthread_t thread;
    void *result;
    CHECK(pthread_create(&thread, NULL, wait_for_it, set) == 0);
    until_another_thread_waits(set);
    CHECK(pthread_cancel(thread) == 0);
    usleep(10000);
    CHECK_ERROR(pollset_wait(set, results, ROOM, &NONE, NULL), EBUSY);
    CHECK(pollset_wake(set) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    /* The object can be used. */
    CHECK(pollset_wait(set, results, ROOM, &NONE, NULL) == 0);
}

static void *use_forever(void *set) {
    for (int i = 0;; i++) {
        pollset_register(set, i % 200, 0);
        pollset_unregister(set, (i + 100) % 200);
        pollset_modify(set, i % 200, 0);
        pollset_interest(set, i % 200);
        pollset_length(set);
        pthread_testcancel();
    }
    return NULL;
}

static void threads_are_not_cancelled_in_changes(pollset_t *set) {
    enum { THREADS = 6 };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, use_forever, set) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *result;
        usleep(2000);
        CHECK(pthread_cancel(threads[i]) == 0);
        CHECK(pthread_join(threads[i], &result) == 0 && result == PTHREAD_CANCELED);
    }
    for (int i = 0; i < 200; i++) {
        pollset_unregister(set, i);
    }
    CHECK(pollset_length(set) == 0);
}

static void a_child_has_a_copy(pollset_t *set) {
    struct pollfd results[ROOM];
    int ends[2];
    make_pipe(ends);
    CHECK(pollset_register(set, ends[0], POLLIN) == 0);
    CHECK(pollset_wait(set, results, ROOM, &NONE, NULL) == 0);
    pid_t child = fork();
    CHECK(child != -1);
    if (child == 0) {
        CHECK(pollset_unregister(set, ends[0]) == 0);
        CHECK(pollset_register(set, ends[1], POLLOUT) == 0);
        CHECK(pollset_wait(set, results, ROOM, &NONE, NULL) == 1 && results[0].fd == ends[1]);
        pollset_free(set);
        _exit(0);
    }
    join_child(child);
    CHECK(pollset_length(set) == 1);
    CHECK(write(ends[1], "x", 1) == 1);
    CHECK(pollset_wait(set, results, ROOM, &NONE, NULL) == 1 && results[0].fd == ends[0]);
    CHECK(pollset_unregister(set, ends[0]) == 0);
    close_pipe(ends);
}

/* A process, its child, the child of that and so on: each wakes itself only. */
static void a_process_wakes_itself(pollset_t *set) {
    enum { GENERATIONS = 4 };
    struct pollfd results[ROOM];
    struct timespec time = {0, 1000000};
    int requests[GENERATIONS][2], answers[2], generation = 0;
    pid_t child = 0;
    char byte;
    make_pipe(answers);
    CHECK(pollset_wake(set) == 0); /* for the parent */
    while (generation < GENERATIONS) {
        make_pipe(requests[generation]);
        child = fork();
        if (child != 0) {
            break;
        }
        /* Some children wait first, others wake first. */
        if (generation % 2 == 0) {
            CHECK(pollset_wait(set, results, ROOM, &NONE, NULL) == 0);
        }
        CHECK(write(answers[1], "", 1) == 1);
        CHECK(read(requests[generation][0], &byte, 1) == 1);
        if (generation % 2 == 1) {
            CHECK(pollset_wake(set) == 0);
            CHECK(pollset_wait(set, results, ROOM, NULL, NULL) == 0);
        }
        double start = now();
        CHECK(pollset_wait(set, results, ROOM, &time, NULL) == 0);
        CHECK(now() - start >= 1e-3);
        a_signal_handler_may_wake(set);
        CHECK(pollset_wake(set) == 0); /* for this child, when its own child runs */
        generation++;
    }
    /* The next generation waits while this process has a wake pending. */
    if (generation < GENERATIONS) {
        CHECK(read(answers[0], &byte, 1) == 1);
        CHECK(pollset_wake(set) == 0);
        CHECK(write(requests[generation][1], "", 1) == 1);
        join_child(child);
    }
    CHECK(pollset_wait(set, results, ROOM, NULL, NULL) == 0);
    double start = now();
    CHECK(pollset_wait(set, results, ROOM, &time, NULL) == 0);
    CHECK(now() - start >= 1e-3);
    if (generation > 0) {
        _exit(0);
    }
    close_pipe(answers);
    close_pipe(requests[0]);
}

static volatile sig_atomic_t is_armed;
static volatile pid_t handler_child;

/* The library calls it while a child replaces the file for wakes. */
int pthread_sigmask(int how, const sigset_t *set, sigset_t *old) {
    int result = (int)syscall(SYS_rt_sigprocmask, how, set, old, 8);
    if (is_armed) {
        is_armed = 0;
        CHECK(raise(SIGUSR1) == 0);
    }
    return result;
}

static void fork_in_handler(int number) {
    (void)number;
    handler_child = fork();
    CHECK(handler_child != 0 || pollset_wake(in_handler) == 0);
}

/* A signal comes in the middle of the first call of a child, and its handler forks. */
static void a_handler_may_fork(pollset_t *set) {
    struct sigaction action = {0};
    action.sa_handler = fork_in_handler;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    in_handler = set;
    for (int is_wait = 0; is_wait < 2; is_wait++) {
        pid_t child = fork();
        if (child == 0) {
            struct pollfd results[ROOM];
            struct timespec time = {0, 1000000};
            handler_child = -1;
            is_armed = 1;
            if (is_wait) {
                CHECK(pollset_wait(set, results, ROOM, &NONE, NULL) == 0);
            } else {
                CHECK(pollset_wake(set) == 0);
            }
            CHECK(!is_armed);
            if (!is_wait) {
                CHECK(pollset_wait(set, results, ROOM, NULL, NULL) == 0);
            }
            double start = now();
            CHECK(pollset_wait(set, results, ROOM, &time, NULL) == 0);
            CHECK(now() - start >= 1e-3);
            if (handler_child > 0) {
                join_child(handler_child);
            }
            _exit(0);
        }
        join_child(child);
    }
}

/* The library calls one of them in a wait. */
int poll(struct pollfd *fds, nfds_t count, int timeout) {
    struct timespec time = {timeout / 1000, timeout % 1000 * 1000000};
    return ppoll(fds, count, timeout < 0 ? NULL : &time, NULL);
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask) {
    struct timespec time = timeout == NULL ? NONE : *timeout;
    if (is_armed) {
        is_armed = 0;
        CHECK(raise(SIGUSR1) == 0);
    }
    return (int)syscall(SYS_ppoll, fds, count, timeout == NULL ? NULL : &time, mask, 8);
}

/* The child goes first. */
static void fork_and_join_in_handler(int number) {
    (void)number;
    handler_child = fork();
    if (handler_child != 0) {
        join_child(handler_child);
    }
}

/* A signal comes at the beginning of a wait, and its handler forks: the child gets no wake of its parent. */
static void a_child_that_begins_in_a_wait_gets_no_wake(void) {
    struct pollfd results[ROOM];
    struct sigaction action = {0};
    action.sa_handler = fork_and_join_in_handler;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    pollset_t *set = pollset_new(POLLSET_WAKE | POLLSET_POLL);
    CHECK(pollset_wake(set) == 0);
    handler_child = -1;
    is_armed = 1;
    int count = pollset_wait(set, results, ROOM, NULL, NULL);
    if (handler_child == 0) {
        CHECK(count == -1 && errno == EINTR);
        CHECK(pollset_wait(set, results, ROOM, &NONE, NULL) == 0);
        _exit(0);
    }
    CHECK(count == 0 && handler_child > 0);
    pollset_free(set);
}

static void *wake_at_once(void *set) {
    in_handler = set;
    CHECK(raise(SIGUSR2) == 0);
    CHECK(pollset_wake(set) == 0);
    return NULL;
}

/* Threads of a child and their signal handlers make its first calls at the same time. */
static void the_first_wakes_of_a_child_are_not_lost(pollset_t *set) {
    enum { THREADS = 3 };
    struct pollfd results[ROOM];
    pthread_t threads[THREADS];
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < THREADS; i++) {
            CHECK(pthread_create(&threads[i], NULL, wake_at_once, set) == 0);
        }
        CHECK(pollset_wait(set, results, ROOM, NULL, NULL) == 0);
        for (int i = 0; i < THREADS; i++) {
            CHECK(pthread_join(threads[i], NULL) == 0);
        }
        struct timespec time = {0, 1000000};
        double start = now();
        if (pollset_wait(set, results, ROOM, &time, NULL) == 0 && now() - start < 1e-3) {
            CHECK(pollset_wait(set, results, ROOM, &time, NULL) == 0);
            CHECK(now() - start >= 1e-3); /* one wake came after the first wait */
        }
        _exit(0);
    }
    join_child(child);
    CHECK(pollset_wait(set, results, ROOM, &NONE, NULL) == 0);
}

enum { CHANGERS = 3, PIPES = 40 };

static int pipes[PIPES][2];
static volatile sig_atomic_t is_over, is_forking;
/* A program that forks while threads change an object keeps them from being in the middle of a change. */
static pthread_rwlock_t forking = PTHREAD_RWLOCK_INITIALIZER;

static void *change(void *set) {
    unsigned seed = (unsigned)(size_t)&set;
    while (!is_over) {
        int fd = pipes[rand_r(&seed) % PIPES][rand_r(&seed) % 2];
        while (is_forking) {
            usleep(10); /* some systems prefer readers */
        }
        CHECK(pthread_rwlock_rdlock(&forking) == 0);
        switch (rand_r(&seed) % 4) {
        case 0:
            CHECK(pollset_register(set, fd, POLLIN | POLLOUT) == 0);
            break;
        case 1:
            CHECK(pollset_unregister(set, fd) == 0 || errno == ENOENT);
            break;
        case 2:
            CHECK(pollset_modify(set, fd, POLLOUT) == 0 || errno == ENOENT);
            break;
        default:
            CHECK(pollset_wake(set) == 0 && pollset_length(set) <= 2 * PIPES);
        }
        CHECK(pthread_rwlock_unlock(&forking) == 0);
    }
    return NULL;
}

/* While no thread changes the object, it reports what poll(2) does. */
static void check_results(pollset_t *set) {
    struct pollfd results[2 * PIPES], expected[2 * PIPES];
    int count = pollset_wait(set, results, 2 * PIPES, &NONE, NULL), ready = 0;
    for (int i = 0; i < 2 * PIPES; i++) {
        int fd = pipes[i / 2][i % 2], events = pollset_interest(set, fd);
        expected[i] = (struct pollfd){events == -1 ? -1 : fd, (short)events, 0};
    }
    CHECK(poll(expected, 2 * PIPES, 0) == count);
    for (int i = 0; i < 2 * PIPES; i++) {
        for (int j = 0; expected[i].revents != 0; j++) {
            CHECK(j < count);
            if (results[j].fd == expected[i].fd) {
                CHECK(results[j].revents == expected[i].revents);
                ready++;
                break;
            }
        }
    }
    CHECK(ready == count);
}

/* Forks during waits and between changes. The children use their copies, and some have threads. */
static void *fork_children(void *set) {
    for (unsigned number = 0; !is_over; number++) {
        pthread_t thread;
        is_forking = 1;
        CHECK(pthread_rwlock_wrlock(&forking) == 0);
        is_forking = 0;
        pid_t child = fork();
        if (child == 0) {
#ifdef SANITIZED
            _exit(0); /* AddressSanitizer's malloc(3) may be locked */
#endif
            check_results(set);
            for (int i = 0; i < PIPES; i++) {
                int fd = pipes[i][number % 2];
                CHECK(pollset_unregister(set, fd) == 0 || errno == ENOENT);
            }
            check_results(set);
            if (number % 2 == 1) {
                CHECK(pthread_create(&thread, NULL, wake_later, set) == 0);
                while (pollset_unregister(set, pipes[number % PIPES][1]) == 0) {
                }
                for (int i = 0; i < PIPES; i++) {
                    pollset_modify(set, pipes[i][0], 0);
                    pollset_modify(set, pipes[i][1], 0);
                }
                struct pollfd results[ROOM];
                CHECK(pollset_wait(set, results, ROOM, NULL, NULL) == 0);
                CHECK(pthread_join(thread, NULL) == 0);
            }
            pollset_free(set);
            /* The memory of the wait in the parent is lost in its child, so valgrind shall not look for it. */
            execlp("true", "true", NULL);
            abort();
        }
        CHECK(pthread_rwlock_unlock(&forking) == 0);
        join_child(child);
    }
    return NULL;
}

/* Three threads change the object, one waits, and one forks. */
static void stress(pollset_t *set) {
    struct pollfd results[ROOM];
    pthread_t threads[CHANGERS], forker;
    for (int i = 0; i < PIPES; i++) {
        make_pipe(pipes[i]);
    }
    is_over = 0;
    for (int i = 0; i < CHANGERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, change, set) == 0);
    }
    CHECK(pthread_create(&forker, NULL, fork_children, set) == 0);
    double end = now() + 0.5;
    while (now() < end) {
        struct timespec time = {0, 100000};
        int count = pollset_wait(set, results, ROOM, &time, NULL);
        CHECK(count >= 0);
        for (int i = 0; i < count; i++) {
            CHECK(results[i].revents != 0 && results[i].revents != POLLNVAL);
        }
    }
    is_over = 1;
    for (int i = 0; i < CHANGERS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(pthread_join(forker, NULL) == 0);
    check_results(set);
    for (int i = 0; i < PIPES; i++) {
        close_pipe(pipes[i]);
    }
}

int main(void) {
    struct sigaction action = {0};
    action.sa_handler = wake_in_handler;
    CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
    FOR_EACH_ENGINE(set, POLLSET_WAKE, a_wake_ends_the_wait_or_the_next_one(set));
    its_own_descriptor_cannot_be_changed();
    FOR_EACH_ENGINE(set, POLLSET_WAKE, a_signal_handler_may_wake(set));
    FOR_EACH_ENGINE(set, POLLSET_WAKE, one_thread_waits(set));
    FOR_EACH_ENGINE(set, POLLSET_WAKE, a_thread_is_not_cancelled_in_a_wait(set));
    for (int i = 0; i < RUNS; i++) {
        FOR_EACH_ENGINE(set, 0, threads_are_not_cancelled_in_changes(set));
    }
    FOR_EACH_ENGINE(set, 0, a_child_has_a_copy(set));
    FOR_EACH_ENGINE(set, POLLSET_WAKE, a_process_wakes_itself(set));
    FOR_EACH_ENGINE(set, POLLSET_WAKE, a_handler_may_fork(set));
    if (sizeof(time_t) == sizeof(long)) { /* the system call has another number elsewhere */
        a_child_that_begins_in_a_wait_gets_no_wake();
    }
    for (int i = 0; i < RUNS * 5; i++) {
        FOR_EACH_ENGINE(set, POLLSET_WAKE, the_first_wakes_of_a_child_are_not_lost(set));
    }
    FOR_EACH_ENGINE(set, POLLSET_WAKE, stress(set));
    return 0;
}
