/* The echo server of examples/echo.c on epoll(7), to compare. Its standard input can't be a file. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CHUNK = 16 * 1024, /* bytes per read, and kept for each client */
    ROOM = 256,        /* results per wait */
    MAX_FD = 1 << 20
};

/* What was read and not yet sent. */
struct client {
    size_t start, end;
    uint32_t events; /* for which it is registered */
    char unsent[CHUNK];
};

static struct client *clients[MAX_FD]; /* by descriptor */

static int control(int epoll, int change, int fd, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(epoll, change, fd, &event);
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
static int accept_client(int epoll, int listener) {
    int on = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd == -1) {
        return is_transient() ? 0 : -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fd >= MAX_FD || (clients[fd] = calloc(1, sizeof *clients[fd])) == NULL) {
        close(fd);
        return -1;
    }
    clients[fd]->events = EPOLLIN;
    if (control(epoll, EPOLL_CTL_ADD, fd, EPOLLIN) == 0) {
        return 0;
    }
    free(clients[fd]);
    close(fd);
    return -1;
}

static void drop_client(int fd) {
    close(fd); /* removes it */
    free(clients[fd]);
    clients[fd] = NULL;
}

/* Serves until `stop` is ready. */
static int serve(int epoll, int listener, int stop) {
    int is_full = 0;
    if (control(epoll, EPOLL_CTL_ADD, stop, EPOLLIN) == -1 ||
        control(epoll, EPOLL_CTL_ADD, listener, EPOLLIN) == -1) {
        return -1;
    }
    for (;;) {
        struct epoll_event results[ROOM];
        int count = epoll_wait(epoll, results, ROOM, -1);
        if (count == -1 && errno != EINTR) {
            return -1;
        }
        for (int i = 0; i < count; i++) {
            int fd = results[i].data.fd;
            if (fd == stop) {
                return 0;
            }
            if (fd == listener) {
                /* With no descriptor left, clients wait in the backlog until another one leaves. */
                if (accept_client(epoll, listener) == -1) {
                    is_full = control(epoll, EPOLL_CTL_MOD, listener, 0) == 0;
                }
            } else if (echo(fd, clients[fd])) {
                /* EPOLLOUT only while data is unsent: the socket is nearly always writable. */
                int is_sent = clients[fd]->start == clients[fd]->end;
                uint32_t events = is_sent ? EPOLLIN : EPOLLOUT;
                if (events != clients[fd]->events) {
                    control(epoll, EPOLL_CTL_MOD, fd, events);
                    clients[fd]->events = events;
                }
            } else {
                drop_client(fd);
                if (is_full) {
                    is_full = control(epoll, EPOLL_CTL_MOD, listener, EPOLLIN) != 0;
                }
            }
        }
    }
}

int main(int count, char **arguments) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((in_port_t)(count > 1 ? atoi(arguments[1]) : 0));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll == -1 || bind(listener, (struct sockaddr *)&address, length) == -1 ||
        listen(listener, 1000) == -1 ||
        getsockname(listener, (struct sockaddr *)&address, &length) == -1) {
        perror("echo");
        return 1;
    }
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    if (serve(epoll, listener, STDIN_FILENO) == -1) {
        perror("echo");
        return 1;
    }
    return 0;
}
