/* Waits for data on three pipes, which three children write to. */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <pollset.h>

int main(void) {
    pollset_t *set = pollset_new(0);
    if (set == NULL) {
        perror("pollset_new");
        return 1;
    }
    for (int child = 0; child < 3; child++) {
        int ends[2];
        if (pipe(ends) == -1 || pollset_register(set, ends[0], POLLIN) == -1) {
            perror("pipe");
            return 1;
        }
        if (fork() == 0) {
            usleep((useconds_t)(child + 1) * 10000);
            dprintf(ends[1], "child %d\n", child);
            _exit(0);
        }
        close(ends[1]);
    }
    while (pollset_length(set) > 0) {
        struct pollfd results[3];
        int count = pollset_wait(set, results, 3, NULL, NULL);
        if (count == -1) {
            perror("pollset_wait");
            return 1;
        }
        for (int i = 0; i < count; i++) {
            char text[100];
            ssize_t length = read(results[i].fd, text, sizeof text);
            if (length > 0) {
                fwrite(text, 1, (size_t)length, stdout);
            } else { /* the child has closed its end */
                pollset_unregister(set, results[i].fd);
                close(results[i].fd);
            }
        }
    }
    pollset_free(set);
    return 0;
}
