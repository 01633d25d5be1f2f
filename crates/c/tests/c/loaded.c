/* A library that is loaded while the program runs, as bindings of other languages load it: pollset_wake() in a
 * signal handler allocates no memory, also in a thread that has called no function before. */
#include "check.h"

#include <dlfcn.h>

#ifndef __GLIBC__
int main(void) {
    puts("SKIPPED: not glibc");
    return 0;
}
#else

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);

static __thread volatile int is_in_handler;
static volatile int allocations;

void *malloc(size_t size) {
    allocations += is_in_handler;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    allocations += is_in_handler;
    return __libc_calloc(count, size);
}

static pollset_t *set;
static int (*wake)(pollset_t *);

static void handle(int number) {
    (void)number;
    is_in_handler = 1;
    CHECK(wake(set) == 0);
    is_in_handler = 0;
}

static void *raise_signal(void *unused) {
    CHECK(raise(SIGUSR1) == 0);
    return unused;
}

int main(int count, char **arguments) {
    struct sigaction action = {0};
    pthread_t thread;
    CHECK(count == 2);
    void *library = dlopen(arguments[1], RTLD_NOW);
    CHECK(library != NULL);
    pollset_t *(*make)(unsigned);
    *(void **)&make = dlsym(library, "pollset_new");
    *(void **)&wake = dlsym(library, "pollset_wake");
    CHECK(make != NULL && make != pollset_new && wake != NULL);
    set = make(POLLSET_WAKE);
    CHECK(set != NULL);
    action.sa_handler = handle;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    raise_signal(NULL);
    CHECK(pthread_create(&thread, NULL, raise_signal, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(allocations == 0);
    return 0;
}
#endif
