/* Arm semihosting (ARM IHI 0074): files on the host, lines for the bench, exit status. */
#ifndef SEMIHOST_H
#define SEMIHOST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SEMIHOST_READ = 1, SEMIHOST_WRITE = 5 }; /* fopen's "rb" and "wb" */

/* A handle, or -1. */
int32_t semihost_open(const char *name, int mode);
/* The number of bytes that were read; less than asked for at the end of the file. */
size_t semihost_read(int32_t handle, void *to, size_t bytes);
/* 0 when all bytes were written. */
int semihost_write(int32_t handle, const void *from, size_t bytes);
/* One line `key=text` or `key=value` in the file "lines.txt". */
void semihost_line(const char *key, const char *text);
void semihost_value(const char *key, uint32_t value);
__attribute__((noreturn)) void semihost_exit(int status);

#ifdef __cplusplus
}
#endif
#endif
