/* The echo server of examples/echo.c on poll(2), to compare. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CHUNK = 16 * 1024, /* bytes per read, and kept for each client */
    MAX_FD = 1 << 20
};

/* What was read and not yet sent. */
struct client {
    size_t start, end;
    char unsent[CHUNK];
};

static struct client *clients[MAX_FD]; /* by descriptor */
static int places[MAX_FD];             /* in `fds`, by descriptor */

/* The array for poll(2). */
static struct pollfd *fds;
static int length, room;

/* Returns -1 if there is no memory. */
static int add(int fd) {
    if (length == room) {
        int more = room == 0 ? 64 : 2 * room;
        struct pollfd *larger = realloc(fds, (size_t)more * sizeof *fds);
        if (larger == NULL) {
            return -1;
        }
        fds = larger;
        room = more;
    }
    places[fd] = length;
    fds[length++] = (struct pollfd){fd, POLLIN, 0};
    return 0;
}

/* The last one takes its place. */
static void drop(int fd) {
    int place = places[fd];
    fds[place] = fds[--length];
    places[fds[place].fd] = place;
}

static int is_transient(void) {
    return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
}

/* Reads if all data has been sent back, and sends. Returns 0 if the client has disconnected. */
static int echo(int fd, struct client *client) {
    if (client->start == client->end) {
        ssize_t count = recv(fd, client->unsent, CHUNK, 0);
        if (count <= 0) {
            return count == -1 && is_transient();
        }
        client->start = 0;
        client->end = (size_t)count;
    }
    ssize_t sent = send(fd, client->unsent + client->start, client->end - client->start, MSG_NOSIGNAL);
    if (sent == -1) {
        return is_transient();
    }
    client->start += (size_t)sent;
    return 1;
}

/* Returns -1 if there is no descriptor, or no memory. */
static int accept_client(int listener) {
    int on = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd == -1) {
        return is_transient() ? 0 : -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fd >= MAX_FD || (clients[fd] = calloc(1, sizeof *clients[fd])) == NULL) {
        close(fd);
        return -1;
    }
    if (add(fd) == 0) {
        return 0;
    }
    free(clients[fd]);
    close(fd);
    return -1;
}

static void drop_client(int fd) {
    drop(fd);
    close(fd);
    free(clients[fd]);
    clients[fd] = NULL;
}

/* Serves until `stop` is ready. */
static int serve(int listener, int stop) {
    if (add(stop) == -1 || add(listener) == -1) {
        return -1;
    }
    for (;;) {
        int ready = poll(fds, (nfds_t)length, -1);
        if (ready == -1 && errno != EINTR) {
            return -1;
        }
        /* From the end: the place of a client that leaves is taken by one that was served. */
        for (int i = length - 1; i >= 0 && ready > 0; i--) {
            if (fds[i].revents == 0) {
                continue;
            }
            ready--;
            int fd = fds[i].fd;
            if (fd == stop) {
                return 0;
            }
            if (fd == listener) {
                /* With no descriptor left, clients wait in the backlog until another one leaves. */
                if (accept_client(listener) == -1) {
                    fds[i].events = 0;
                }
            } else if (echo(fd, clients[fd])) {
                /* POLLOUT only while data is unsent: the socket is nearly always writable. */
                int is_sent = clients[fd]->start == clients[fd]->end;
                fds[i].events = is_sent ? POLLIN : POLLOUT;
            } else {
                drop_client(fd);
                fds[places[listener]].events = POLLIN;
            }
        }
    }
}

int main(int count, char **arguments) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((in_port_t)(count > 1 ? atoi(arguments[1]) : 0));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, size) == -1 ||
        listen(listener, 1000) == -1 ||
        getsockname(listener, (struct sockaddr *)&address, &size) == -1) {
        perror("echo");
        return 1;
    }
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    if (serve(listener, STDIN_FILENO) == -1) {
        perror("echo");
        return 1;
    }
    return 0;
}
