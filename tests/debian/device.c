/* A device over libmodbus, for our driver: `device tcp PORT` on a port of this machine, 0 lets the system choose, or
   `device rtu PATH` on a serial line of 115200 baud without parity. Unit 1 with 100 addresses in each table: bit n is
   set where n is divisible by 3, register n holds 7 n. It prints its port or path and ends when its input does. */

#include <arpa/inet.h>
#include <errno.h>
#include <modbus.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COUNT = 100, UNIT = 1 };

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, modbus_strerror(errno));
    exit(1);
}

/* Waits for `from`; 0 where the input has ended before. */
static int ready(int from) {
    struct pollfd waits[2] = {{STDIN_FILENO, POLLIN, 0}, {from, POLLIN, 0}};
    if (poll(waits, 2, -1) < 0) fail("poll");
    return waits[0].revents == 0;
}

/* Answers what comes, until the other side or the input ends; 0 for the latter. */
static int serve(modbus_t *device, modbus_mapping_t *tables) {
    uint8_t request[MODBUS_MAX_ADU_LENGTH];
    while (ready(modbus_get_socket(device))) {
        int length = modbus_receive(device, request);
        if (length < 0 && errno != EMBBADCRC) return 1;
        if (length > 0 && modbus_reply(device, request, length, tables) < 0) return 1;
    }
    return 0;
}

int main(int count, char **given) {
    if (count != 3) return 2;
    int over_tcp = strcmp(given[1], "tcp") == 0;
    modbus_t *device = over_tcp ? modbus_new_tcp("127.0.0.1", atoi(given[2]))
                                : modbus_new_rtu(given[2], 115200, 'N', 8, 1);
    modbus_mapping_t *tables = modbus_mapping_new(COUNT, COUNT, COUNT, COUNT);
    if (device == NULL || tables == NULL || modbus_set_slave(device, UNIT) < 0) fail("memory");
    for (int at = 0; at < COUNT; at++) {
        tables->tab_bits[at] = tables->tab_input_bits[at] = at % 3 == 0;
        tables->tab_registers[at] = tables->tab_input_registers[at] = (uint16_t)(7 * at);
    }
    if (over_tcp) {
        struct sockaddr_in place;
        socklen_t size = sizeof place;
        int listening = modbus_tcp_listen(device, 1);
        if (listening < 0 || getsockname(listening, (struct sockaddr *)&place, &size) < 0) fail("listen");
        printf("%d\n", ntohs(place.sin_port));
        fflush(stdout);
        while (ready(listening)) {
            if (modbus_tcp_accept(device, &listening) < 0) fail("accept");
            if (!serve(device, tables)) break;
            modbus_close(device);
        }
        close(listening);
    } else {
        if (modbus_connect(device) < 0) fail("open");
        printf("%s\n", given[2]);
        fflush(stdout);
        while (serve(device, tables)) continue;
        modbus_close(device);
    }
    modbus_mapping_free(tables);
    modbus_free(device);
    return 0;
}
