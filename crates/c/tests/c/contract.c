/* The rows of the contract. The oracle is poll(2). */
#include "check.h"

/* The object reports what poll(2) does for the same descriptors, in the same order. */
static void check_against_poll(pollset_t *set, const struct pollfd *registered, size_t count) {
    struct pollfd expected[ROOM], results[ROOM];
    CHECK(count <= ROOM);
    memcpy(expected, registered, count * sizeof expected[0]);
    int ready = poll(expected, (nfds_t)count, 0);
    CHECK(pollset_wait(set, results, ROOM, &NONE, NULL) == ready);
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        if (expected[i].revents != 0) {
            CHECK(results[result].fd == expected[i].fd);
            CHECK(results[result].revents == expected[i].revents);
            CHECK(results[result].events == 0);
            result++;
        }
    }
    CHECK(result == ready);
}

static void results_are_those_of_poll(pollset_t *set) {
    int pipes[8][2], sockets[2];
    struct pollfd registered[ROOM];
    size_t count = 0;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    for (size_t i = 0; i < 8; i++) {
        make_pipe(pipes[i]);
        registered[count++] = (struct pollfd){pipes[i][0], POLLIN, 0};
        registered[count++] = (struct pollfd){pipes[i][1], i % 2 ? POLLOUT : 0, 0};
    }
    registered[count++] = (struct pollfd){sockets[0], POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 0};
    registered[count++] = (struct pollfd){1 << 20, POLLIN, 0}; /* not open */
    for (size_t i = 0; i < count; i++) {
        CHECK(pollset_register(set, registered[i].fd, registered[i].events) == 0);
    }
    CHECK(pollset_length(set) == count);
    for (int round = 0; round < 3; round++) {
        check_against_poll(set, registered, count);
        CHECK(write(pipes[round][1], "x", 1) == 1);
        check_against_poll(set, registered, count);
        CHECK(write(sockets[1], "x", 1) == 1);
        check_against_poll(set, registered, count);
    }
    CHECK(shutdown(sockets[1], SHUT_WR) == 0);
    check_against_poll(set, registered, count);
    /* A hang-up, and an error: the other end is closed. */
    for (int end = 0; end < 2; end++) {
        int closed = pipes[6 + end][1 - end];
        CHECK(pollset_unregister(set, closed) == 0 && close(closed) == 0);
        for (size_t i = 0; i < count; i++) {
            if (registered[i].fd == closed) {
                registered[i].fd = -1; /* poll(2) ignores it */
            }
        }
    }
    check_against_poll(set, registered, count);
    close(pipes[6][0]);
    close(pipes[7][1]);
    for (size_t i = 0; i < 6; i++) {
        close_pipe(pipes[i]);
    }
    close(sockets[0]);
    close(sockets[1]);
}

/* At once on poll(2), and within the bounds of the guarantees on epoll(7). */
static void a_descriptor_that_was_closed_is_reported(pollset_t *set) {
    struct pollfd results[ROOM];
    int ends[2];
    make_pipe(ends);
    CHECK(pollset_register(set, ends[0], POLLIN) == 0);
    CHECK(pollset_wait(set, results, ROOM, &NONE, NULL) == 0);
    close_pipe(ends);
    while (pollset_wait(set, results, ROOM, &NONE, NULL) == 0) {
    }
    CHECK(results[0].fd == ends[0] && results[0].revents == POLLNVAL);
}

static void registrations_are_kept_in_order(pollset_t *set) {
    int ends[2];
    struct pollfd results[ROOM];
    make_pipe(ends);
    CHECK(pollset_register(set, ends[1], POLLOUT) == 0);
    CHECK(pollset_register(set, 1 << 20, POLLIN) == 0);
    CHECK(pollset_register(set, ends[0], POLLIN) == 0);
    /* The same number again: new events in the same place. */
    CHECK(pollset_register(set, ends[1], POLLOUT | POLLIN) == 0);
    CHECK(pollset_length(set) == 3);
    CHECK(pollset_interest(set, ends[1]) == (POLLOUT | POLLIN));
    CHECK(pollset_wait(set, results, ROOM, &NONE, NULL) == 2);
    CHECK(results[0].fd == ends[1] && results[1].fd == 1 << 20);
    CHECK(pollset_unregister(set, ends[1]) == 0);
    CHECK(pollset_register(set, ends[1], POLLOUT) == 0);
    CHECK(pollset_wait(set, results, ROOM, &NONE, NULL) == 2);
    CHECK(results[0].fd == 1 << 20 && results[1].fd == ends[1]);
    CHECK(pollset_modify(set, ends[1], 0) == 0);
    CHECK(pollset_interest(set, ends[1]) == 0);
    CHECK(pollset_wait(set, results, ROOM, &NONE, NULL) == 1);
    close_pipe(ends);
}

static void unknown_bits_are_kept(pollset_t *set) {
    CHECK(pollset_register(set, 0, (short)0xffff) == 0);
    CHECK(pollset_interest(set, 0) == 0xffff);
}

static void ready_descriptors_get_their_turn(pollset_t *set) {
    enum { COUNT = 10, PART = 3 };
    int pipes[COUNT][2], times[COUNT] = {0};
    for (int i = 0; i < COUNT; i++) {
        make_pipe(pipes[i]);
        CHECK(pollset_register(set, pipes[i][1], POLLOUT) == 0);
    }
    int next = 0;
    for (int wait = 0; wait < 20; wait++) {
        struct pollfd results[PART];
        CHECK(pollset_wait(set, results, PART, NULL, NULL) == PART);
        for (int i = 0; i < PART; i++, next = (next + 1) % COUNT) {
            CHECK(results[i].fd == pipes[next][1]);
            times[next]++;
        }
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK(times[i] == 6);
    }
    /* With room for all, they are in the order of registration again. */
    struct pollfd all[COUNT];
    CHECK(pollset_wait(set, all, PART, NULL, NULL) == PART);
    CHECK(pollset_wait(set, all, COUNT, NULL, NULL) == COUNT && all[0].fd == pipes[0][1]);
    CHECK(pollset_wait(set, all, PART, NULL, NULL) == PART && all[0].fd == pipes[0][1]);
    for (int i = 0; i < COUNT; i++) {
        close_pipe(pipes[i]);
    }
}

/* A change of the host's name is reported once, as that of /proc/self/mounts. */
static void an_event_that_comes_once_is_not_lost(pollset_t *set) {
    enum { COUNT = 8, PART = 3 };
    int pipes[COUNT][2], names[PART];
    for (int i = 0; i < COUNT; i++) {
        make_pipe(pipes[i]);
        CHECK(pollset_register(set, pipes[i][1], POLLOUT) == 0);
    }
    for (int watched = 0; watched <= PART; watched++) {
        struct pollfd results[PART];
        int next = 0;
        for (int wait = 0; wait < 20; wait++) {
            int is_changed = wait % 3 == 1;
            if (is_changed) {
                CHECK(sethostname("pollset", 7) == 0);
            }
            CHECK(pollset_wait(set, results, PART, NULL, NULL) == PART);
            int changes = 0;
            for (int i = 0; i < PART; i++) {
                if (results[i].fd == pipes[next][1]) {
                    next = (next + 1) % COUNT;
                } else {
                    CHECK(results[i].revents == (POLLERR | POLLPRI));
                    changes++;
                }
            }
            /* In other namespaces, other runs of this test change the name, too, which is reported here. */
            CHECK(changes == watched || !is_changed);
        }
        /* Begin anew. */
        struct pollfd all[COUNT + PART];
        CHECK(pollset_wait(set, all, COUNT + PART, NULL, NULL) >= COUNT);
        if (watched < PART) {
            names[watched] = open("/proc/sys/kernel/hostname", O_RDONLY);
            CHECK(pollset_register(set, names[watched], POLLPRI) == 0);
        }
    }
    for (int i = 0; i < PART; i++) {
        close(names[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        close_pipe(pipes[i]);
    }
}

/* It reports its change until it is read: no reason to come before others. */
static void a_changed_file_that_is_not_read_starves_none(pollset_t *set) {
    enum { COUNT = 3 };
    int pipes[COUNT][2], file = open("/sys/kernel/uevent_seqnum", O_RDONLY);
    if (file == -1) {
        puts("SKIPPED: there is no /sys");
        return;
    }
    for (int i = 0; i < COUNT; i++) {
        make_pipe(pipes[i]);
        CHECK(pollset_register(set, pipes[i][1], POLLOUT) == 0);
    }
    CHECK(pollset_register(set, file, POLLPRI) == 0);
    for (int wait = 0; wait < 3 * (COUNT + 1); wait++) {
        struct pollfd result;
        int next = wait % (COUNT + 1);
        CHECK(pollset_wait(set, &result, 1, NULL, NULL) == 1);
        CHECK(result.fd == (next < COUNT ? pipes[next][1] : file));
    }
    close(file);
    for (int i = 0; i < COUNT; i++) {
        close_pipe(pipes[i]);
    }
}

/* In a namespace of its own, the process may change the name. */
static void events_that_come_once_are_not_lost(void) {
    pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWUTS) == -1 && unshare(CLONE_NEWUSER | CLONE_NEWUTS) == -1) {
            puts("SKIPPED: the system allows no namespaces");
            fflush(stdout);
            _exit(0);
        }
        FOR_EACH_ENGINE(set, 0, an_event_that_comes_once_is_not_lost(set));
        _exit(0);
    }
    join_child(child);
}

/* Each is unregistered after its turn: the next one follows, none is left out. */
static void the_next_one_follows_one_that_is_unregistered(pollset_t *set) {
    enum { MOST = 12 };
    for (int count = 3; count <= MOST; count++) {
        int pipes[MOST][2];
        for (int i = 0; i < count; i++) {
            make_pipe(pipes[i]);
            CHECK(pollset_register(set, pipes[i][1], POLLOUT) == 0);
        }
        for (int i = 0; i < count; i++) {
            struct pollfd result;
            CHECK(pollset_wait(set, &result, 1, NULL, NULL) == 1);
            CHECK(result.fd == pipes[i][1]);
            CHECK(pollset_unregister(set, result.fd) == 0);
            close_pipe(pipes[i]);
        }
    }
}

/* Ready descriptors that are registered before each wait keep none of the others from its turn. */
static void a_set_that_grows_starves_none(pollset_t *set) {
    enum { OLD = 20, NEW = 200 };
    int pipes[OLD + NEW][2], times[OLD] = {0};
    for (int i = 0; i < OLD + NEW; i++) {
        struct pollfd result;
        make_pipe(pipes[i]);
        CHECK(pollset_register(set, pipes[i][1], POLLOUT) == 0);
        if (i >= OLD) {
            CHECK(pollset_wait(set, &result, 1, NULL, NULL) == 1);
            for (int old = 0; old < OLD; old++) {
                times[old] += result.fd == pipes[old][1];
            }
        }
    }
    for (int i = 0; i < OLD; i++) {
        CHECK(times[i] >= 3);
    }
    for (int i = 0; i < OLD + NEW; i++) {
        CHECK(pollset_unregister(set, pipes[i][1]) == 0);
        close_pipe(pipes[i]);
    }
}

enum { MOST = 40, FDS = 256 };

/* The test of what changes: some are ready, each with the number of results since it was reported. */
struct changing {
    pollset_t *set;
    int ends[2], count, fds[MOST], results_since[FDS];
};

static void add_ready(struct changing *all) {
    int fd = dup(all->ends[1]);
    CHECK(fd < FDS && pollset_register(all->set, fd, POLLOUT) == 0);
    all->results_since[fd] = 0;
    all->fds[all->count++] = fd;
}

static void remove_ready(struct changing *all, int i) {
    CHECK(pollset_unregister(all->set, all->fds[i]) == 0 && close(all->fds[i]) == 0);
    all->fds[i] = all->fds[--all->count];
}

/* No descriptor is reported twice in a wait, and each one in time. */
static void wait_for_some(struct changing *all, int room) {
    struct pollfd results[MOST];
    int expected = room < all->count ? room : all->count;
    CHECK(pollset_wait(all->set, results, (size_t)room, &NONE, NULL) == expected);
    for (int i = 0; i < expected; i++) {
        for (int j = 0; j < i; j++) {
            CHECK(results[i].fd != results[j].fd);
        }
        all->results_since[results[i].fd] = -expected;
    }
    for (int i = 0; i < all->count; i++) {
        all->results_since[all->fds[i]] += expected;
        /* The rest of a round, and the next one. */
        CHECK(all->results_since[all->fds[i]] <= 2 * (MOST + room));
    }
}

/* Clients that come and go keep no listener, and no other one, from its turn; nor do idle ones. */
static void changes_starve_none(pollset_t *set, unsigned seed, int can_wake) {
    struct changing all = {.set = set};
    int idle[MOST], idle_count = rand_r(&seed) % 2 * MOST;
    make_pipe(all.ends);
    for (int i = 0; i < idle_count; i++) {
        idle[i] = dup(all.ends[0]);
        CHECK(pollset_register(set, idle[i], POLLIN) == 0);
    }
    add_ready(&all); /* the listener */
    for (int i = 0; i < 300; i++) {
        int changes = rand_r(&seed) % 6;
        for (int change = 0; change < changes; change++) {
            if (all.count > 1 && (all.count == MOST || rand_r(&seed) % 100 < i * 7 % 100)) {
                remove_ready(&all, 1 + rand_r(&seed) % (all.count - 1));
            } else {
                add_ready(&all);
            }
        }
        CHECK(!can_wake || i % 3 != 0 || pollset_wake(set) == 0);
        wait_for_some(&all, 1 + rand_r(&seed) % (i / 100 % 2 ? 2 : MOST));
    }
    while (all.count > 0) {
        remove_ready(&all, 0);
    }
    for (int i = 0; i < idle_count; i++) {
        CHECK(close(idle[i]) == 0);
    }
    close_pipe(all.ends);
}

static void waits_are_never_early(pollset_t *set) {
    struct pollfd results[ROOM];
    int ends[2];
    make_pipe(ends);
    CHECK(pollset_register(set, ends[0], POLLIN) == 0);
    static const long TIMES[] = {0, 1, 999, 300000, 1000000, 5000001};
    for (size_t i = 0; i < sizeof TIMES / sizeof TIMES[0]; i++) {
        struct timespec timeout = {0, TIMES[i]};
        double start = now();
        CHECK(pollset_wait(set, results, ROOM, &timeout, NULL) == 0);
        CHECK(now() - start >= (double)TIMES[i] / 1e9);
    }
    /* An event ends a wait without a limit. */
    CHECK(write(ends[1], "x", 1) == 1);
    CHECK(pollset_wait(set, results, ROOM, NULL, NULL) == 1);
    close_pipe(ends);
}

static void handle(int number) {
    (void)number;
}

static void signals_end_a_wait(pollset_t *set) {
    struct pollfd results[ROOM];
    struct sigaction action = {0}, before;
    sigset_t blocked, old, open;
    struct timespec long_time = {60, 0};
    action.sa_handler = handle;
    CHECK(sigaction(SIGUSR1, &action, &before) == 0);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, &blocked, &old) == 0);
    open = old;
    sigdelset(&open, SIGUSR1);
    /* It comes before the wait, and is handled in it. */
    CHECK(raise(SIGUSR1) == 0);
    if (!HAS_PPOLL) {
        CHECK_ERROR(pollset_wait(set, results, ROOM, &long_time, &open), ENOSYS);
        CHECK(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
        return;
    }
    CHECK_ERROR(pollset_wait(set, results, ROOM, &long_time, &open), EINTR);
    /* The mask of the thread is as before: the signal stays pending, and the time is up. */
    CHECK(raise(SIGUSR1) == 0);
    struct timespec short_time = {0, 1000000};
    CHECK(pollset_wait(set, results, ROOM, &short_time, NULL) == 0);
    CHECK_ERROR(pollset_wait(set, results, ROOM, &long_time, &open), EINTR);
    CHECK(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
    CHECK(sigaction(SIGUSR1, &before, NULL) == 0);
}

static void statistics_and_version(void) {
    struct pollfd results[ROOM];
    struct {
        pollset_stats_t known;
        unsigned char newer[8], beyond;
    } stats;
    pollset_t *set = pollset_new(POLLSET_POLL);
    memset(&stats, 0xff, sizeof stats);
    CHECK(pollset_stats(set, &stats.known, sizeof stats.known) == 0);
    CHECK(stats.known.poll_waits == 0 && stats.known.last_engine == 0 && stats.newer[0] == 0xff);
    CHECK(pollset_wait(set, results, ROOM, &NONE, NULL) == 0);
    /* A newer header has more members. */
    CHECK(pollset_stats(set, &stats.known, sizeof stats.known + sizeof stats.newer) == 0);
    CHECK(stats.known.poll_waits == 1 && stats.known.last_engine == POLLSET_POLL);
    CHECK(stats.newer[0] == 0 && stats.newer[7] == 0 && stats.beyond == 0xff);
    /* An older one has fewer. */
    memset(&stats, 0xff, sizeof stats);
    CHECK(pollset_stats(set, &stats.known, sizeof stats.known.poll_waits) == 0);
    CHECK(stats.known.poll_waits == 1 && stats.known.epoll_waits == UINT64_MAX);
    pollset_free(set);
    CHECK(strcmp(pollset_version(), POLLSET_VERSION) == 0);
}

/* As programs that were compiled with this version know it. */
static void the_layout_stays(void) {
    CHECK(offsetof(pollset_stats_t, poll_waits) == 0);
    CHECK(offsetof(pollset_stats_t, epoll_waits) == 8);
    CHECK(offsetof(pollset_stats_t, changes_applied) == 16);
    CHECK(offsetof(pollset_stats_t, audited) == 24);
    CHECK(offsetof(pollset_stats_t, compared) == 32);
    CHECK(offsetof(pollset_stats_t, replaced) == 40);
    CHECK(offsetof(pollset_stats_t, refused) == 48);
    CHECK(offsetof(pollset_stats_t, last_engine) == 56);
    CHECK(sizeof(pollset_stats_t) == 64);
    CHECK(POLLSET_POLL == 1 && POLLSET_EPOLL == 2 && POLLSET_WAKE == 4 && POLLSET_RELAXED_AUDIT == 8);
}

int main(void) {
    FOR_EACH_ENGINE(set, 0, results_are_those_of_poll(set));
    FOR_EACH_ENGINE(set, 0, a_descriptor_that_was_closed_is_reported(set));
    FOR_EACH_ENGINE(set, 0, registrations_are_kept_in_order(set));
    FOR_EACH_ENGINE(set, 0, unknown_bits_are_kept(set));
    FOR_EACH_ENGINE(set, 0, ready_descriptors_get_their_turn(set));
    events_that_come_once_are_not_lost();
    FOR_EACH_ENGINE(set, 0, a_changed_file_that_is_not_read_starves_none(set));
    FOR_EACH_ENGINE(set, POLLSET_WAKE, ready_descriptors_get_their_turn(set));
    FOR_EACH_ENGINE(set, 0, the_next_one_follows_one_that_is_unregistered(set));
    FOR_EACH_ENGINE(set, POLLSET_WAKE, the_next_one_follows_one_that_is_unregistered(set));
    FOR_EACH_ENGINE(set, 0, a_set_that_grows_starves_none(set));
    for (unsigned seed = 0; seed < 10 * RUNS; seed++) {
        int can_wake = seed % 2;
        FOR_EACH_ENGINE(set, can_wake ? POLLSET_WAKE : 0, changes_starve_none(set, seed, can_wake));
    }
    FOR_EACH_ENGINE(set, 0, waits_are_never_early(set));
    FOR_EACH_ENGINE(set, 0, signals_end_a_wait(set));
    statistics_and_version();
    the_layout_stays();
    return 0;
}
