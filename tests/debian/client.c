/* A client over libmodbus: `client PORT` takes a request a line on its input and prints what came of each in a line.

   unit N                     whom the next requests are for
   1|2|3|4 ADDRESS COUNT      the bits or registers that were read: "ok 1 0 1"
   5|6 ADDRESS VALUE          "ok"
   15|16 ADDRESS VALUE...     "ok"
   22 ADDRESS AND OR          "ok"
   23 ADDRESS COUNT ADDRESS VALUE...   reads the first, writes the second: "ok 1 2"
   raw BYTE...                a request of any kind, from its function on, in hexadecimal: "ok"

   In place of "ok" there may stand "error" and libmodbus's words for it. */

#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 2048, RAW = 254, EXCEPTION = 0x80 };

static uint8_t bits[MOST];
static uint16_t words[MOST];

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, modbus_strerror(errno));
    exit(1);
}

/* Sends `count` bytes as they are; an exception response becomes an error, as with libmodbus's own functions. */
static int raw(modbus_t *client, uint8_t *request, int count) {
    uint8_t answer[MODBUS_TCP_MAX_ADU_LENGTH];
    int header = modbus_get_header_length(client), got;
    if (modbus_send_raw_request(client, request, count) < 0 ||
        (got = modbus_receive_confirmation(client, answer)) < 0)
        return -1;
    if (got > header + 1 && answer[header] & EXCEPTION) {
        errno = MODBUS_ENOBASE + answer[header + 1];
        return -1;
    }
    return got;
}

/* What one line asks for; the number of bits or words that it read, or -1. */
static int perform(modbus_t *client, int function, int *given, int count) {
    int at, last = count;
    for (at = 0; at < count; at++) {
        bits[at] = (uint8_t)given[at];
        words[at] = (uint16_t)given[at];
    }
    switch (function) {
    case 1: return modbus_read_bits(client, given[0], given[1], bits);
    case 2: return modbus_read_input_bits(client, given[0], given[1], bits);
    case 3: return modbus_read_registers(client, given[0], given[1], words);
    case 4: return modbus_read_input_registers(client, given[0], given[1], words);
    case 5: return modbus_write_bit(client, given[0], given[1]) < 0 ? -1 : 0;
    case 6: return modbus_write_register(client, given[0], (uint16_t)given[1]) < 0 ? -1 : 0;
    case 15: return modbus_write_bits(client, given[0], last - 1, bits + 1) < 0 ? -1 : 0;
    case 16: return modbus_write_registers(client, given[0], last - 1, words + 1) < 0 ? -1 : 0;
    case 22: return modbus_mask_write_register(client, given[0], words[1], words[2]) < 0 ? -1 : 0;
    case 23: {
        static uint16_t read[MOST];
        int got = modbus_write_and_read_registers(client, given[2], last - 3, words + 3, given[0], given[1], read);
        memcpy(words, read, sizeof words);
        return got;
    }
    default: errno = EINVAL; return -1;
    }
}

static void obey(modbus_t *client, char *line) {
    static int given[MOST];
    uint8_t request[RAW];
    char *word = strtok(line, " \n");
    if (word == NULL) return;
    int is_raw = strcmp(word, "raw") == 0, is_unit = strcmp(word, "unit") == 0;
    int function = atoi(word), count = 0, got, at;
    while ((word = strtok(NULL, " \n")) != NULL && count < MOST) given[count++] = (int)strtol(word, NULL, is_raw ? 16 : 10);
    if (is_unit) {
        if (modbus_set_slave(client, given[0]) < 0) fail("unit");
        got = 0;
    } else if (is_raw) {
        request[0] = (uint8_t)modbus_get_slave(client);
        for (at = 0; at < count && at + 1 < RAW; at++) request[at + 1] = (uint8_t)given[at];
        got = raw(client, request, at + 1) < 0 ? -1 : 0;
    } else {
        got = perform(client, function, given, count);
    }
    if (got < 0) {
        printf("error %s", modbus_strerror(errno));
    } else {
        printf("ok");
        for (at = 0; at < got; at++) printf(" %d", function <= 2 ? bits[at] : words[at]);
    }
    printf("\n");
    fflush(stdout);
}

int main(int count, char **arguments) {
    static char line[16 * MOST];
    if (count != 2) return 2;
    modbus_t *client = modbus_new_tcp("127.0.0.1", atoi(arguments[1]));
    if (client == NULL || modbus_set_response_timeout(client, 5, 0) < 0 || modbus_connect(client) < 0) fail("connect");
    if (modbus_set_slave(client, 1) < 0) fail("unit");
    while (fgets(line, sizeof line, stdin) != NULL) obey(client, line);
    modbus_close(client);
    modbus_free(client);
    return 0;
}
