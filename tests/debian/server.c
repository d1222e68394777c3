/* A server over libmodbus to measure against: 125 holding and 125 input registers that stand still, one client after
   the other. `server` prints its port and ends when its input does. */

#include <arpa/inet.h>
#include <errno.h>
#include <modbus.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { REGISTERS = 125, HELD = 7 };

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, modbus_strerror(errno));
    exit(1);
}

/* Waits for `socket`; 0 where the input has ended before. */
static int ready(int socket) {
    struct pollfd waits[2] = {{STDIN_FILENO, POLLIN, 0}, {socket, POLLIN, 0}};
    if (poll(waits, 2, -1) < 0) fail("poll");
    return waits[0].revents == 0;
}

int main(void) {
    uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];
    struct sockaddr_in place;
    socklen_t size = sizeof place;
    modbus_t *server = modbus_new_tcp("127.0.0.1", 0);
    modbus_mapping_t *tables = modbus_mapping_new(0, 0, REGISTERS, REGISTERS);
    if (server == NULL || tables == NULL) fail("memory");
    for (int at = 0; at < REGISTERS; at++) tables->tab_registers[at] = tables->tab_input_registers[at] = HELD;
    int listening = modbus_tcp_listen(server, 8);
    if (listening < 0 || getsockname(listening, (struct sockaddr *)&place, &size) < 0) fail("listen");
    printf("%d\n", ntohs(place.sin_port));
    fflush(stdout);
    while (ready(listening)) {
        int connection = modbus_tcp_accept(server, &listening), length, on = 1;
        if (connection < 0) fail("accept");
        /* libmodbus leaves this out; without it several requests at once wait for 40 ms acknowledgements. */
        if (setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) fail("no delay");
        /* No look at the input between two requests: it would cost a server that is to be quick a system call. */
        while ((length = modbus_receive(server, request)) >= 0)
            if (length > 0 && modbus_reply(server, request, length, tables) < 0) break;
        modbus_close(server);
    }
    close(listening);
    modbus_mapping_free(tables);
    modbus_free(server);
    return 0;
}
