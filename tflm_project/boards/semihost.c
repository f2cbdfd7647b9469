#include "semihost.h"

#include <string.h>

static int32_t lines = -1;

static int32_t call(uint32_t operation, const void *arguments)
{
    register uint32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = arguments;
    __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return (int32_t)r0;
}

int32_t semihost_open(const char *name, int mode)
{
    const uint32_t arguments[3] = {(uint32_t)name, (uint32_t)mode, (uint32_t)strlen(name)};
    return call(0x01, arguments);
}

size_t semihost_read(int32_t handle, void *to, size_t bytes)
{
    const uint32_t arguments[3] = {(uint32_t)handle, (uint32_t)to, (uint32_t)bytes};
    return bytes - (size_t)call(0x06, arguments);
}

int semihost_write(int32_t handle, const void *from, size_t bytes)
{
    const uint32_t arguments[3] = {(uint32_t)handle, (uint32_t)from, (uint32_t)bytes};
    return (int)call(0x05, arguments);
}

void semihost_line(const char *key, const char *text)
{
    if (lines < 0) {
        lines = semihost_open("lines.txt", SEMIHOST_WRITE);
    }
    semihost_write(lines, key, strlen(key));
    semihost_write(lines, "=", 1);
    semihost_write(lines, text, strlen(text));
    semihost_write(lines, "\n", 1);
}

void semihost_value(const char *key, uint32_t value)
{
    char text[11];
    char *at = text + sizeof text - 1;
    *at = '\0';
    do {
        *--at = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0);
    semihost_line(key, at);
}

void semihost_exit(int status)
{
    const uint32_t arguments[2] = {0x20026u, (uint32_t)status}; /* ADP_Stopped_ApplicationExit */
    call(0x20, arguments);
    for (;;) {
    }
}
