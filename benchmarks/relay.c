/* relay LISTEN-PORT-IS-PRINTED PORT: passes bytes between a client and 127.0.0.1:PORT, nothing else.
   What any server between a model and a page costs at least. One thread, epoll. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int peer[1 << 16];

static void watch(int epoll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

int main(int count, char **words) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in there = here;
    socklen_t length = sizeof here;
    static char data[1 << 16];
    int one = 1, door = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0);
    if (count < 2) return 2;
    there.sin_port = htons(atoi(words[1]));
    if (bind(door, (struct sockaddr *)&here, sizeof here) || listen(door, 2048)) return 1;
    getsockname(door, (struct sockaddr *)&here, &length);
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);
    watch(epoll, door);
    for (;;) {
        struct epoll_event ready[256];
        int found = epoll_wait(epoll, ready, 256, -1);
        for (int each = 0; each < found; each++) {
            int fd = ready[each].data.fd;
            if (fd == door) {
                int client = accept(door, 0, 0), server = socket(AF_INET, SOCK_STREAM, 0);
                if (client < 0 || server < 0 || connect(server, (struct sockaddr *)&there, sizeof there))
                    return 1;
                setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                peer[client] = server;
                peer[server] = client;
                watch(epoll, client);
                watch(epoll, server);
                continue;
            }
            if (peer[fd] == 0) continue;
            ssize_t got = read(fd, data, sizeof data);
            if (got <= 0) {
                int other = peer[fd];
                peer[fd] = peer[other] = 0;
                close(fd);
                close(other);
                continue;
            }
            for (ssize_t done = 0; done < got;) {
                ssize_t put = write(peer[fd], data + done, got - done);
                if (put < 0 && errno != EAGAIN) break;
                if (put > 0) done += put;
            }
        }
    }
}
