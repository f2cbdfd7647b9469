/* QEMU TCG plugin: counts instructions exactly between two addresses, and executed blocks.
 *
 * Arguments: begin=ADDR end=ADDR [mark=ADDR] out=FILE
 * Counting starts when the block at `begin` is entered and stops when the block at `end` is, so
 * the instructions of `begin` count and those of `end` don't. Only the first such window counts.
 * Each entry of the block at `mark` inside the window closes a layer; a mark itself is not
 * counted, so a build with marks differs by its calls only.
 *
 * Output, one item a line:  total N | layer N | block START INSTRUCTIONS TIMES FOLLOWED
 * FOLLOWED says how often the next executed block was the one that stands right behind it in
 * memory: the other times the block ended in a taken branch.
 *
 * The prototypes below are the public plugin interface, version 1 (QEMU's docs/devel/tcg-plugins);
 * distributions ship no header for it.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { CB_NO_REGS = 0 };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
                                           void (*cb)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
                                          void (*cb)(unsigned int, void *), int flags,
                                          void *userdata);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*cb)(plugin_id, void *), void *userdata);

EXPORT int qemu_plugin_version = 1;

typedef struct block {
    struct block *next; /* all translated blocks, newest first */
    uint64_t start, end;
    uint64_t instructions, times, followed;
} block;

static uint64_t begin_at, end_at, mark_at = UINT64_MAX;
static FILE *out;
static block *blocks;
static block *last;
static enum { BEFORE, INSIDE, AFTER } phase;
static uint64_t total;
static uint64_t layers[4096];
static size_t layer_count;

static void executed(unsigned int vcpu, void *userdata)
{
    block *b = userdata;
    (void)vcpu;
    if (phase == BEFORE && b->start == begin_at) {
        phase = INSIDE;
    } else if (phase == INSIDE && b->start == end_at) {
        phase = AFTER;
    }
    if (phase != INSIDE) {
        return;
    }
    if (last != NULL && last->end == b->start) {
        last->followed++;
    }
    last = b;
    if (b->start == mark_at) {
        if (layer_count < sizeof layers / sizeof layers[0]) {
            layers[layer_count++] = total;
        }
        return;
    }
    b->times++;
    total += b->instructions;
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
    size_t n = qemu_plugin_tb_n_insns(tb);
    block *b = calloc(1, sizeof *b);
    (void)id;
    if (b == NULL) {
        abort();
    }
    b->start = qemu_plugin_tb_vaddr(tb);
    b->end = b->start;
    for (size_t i = 0; i < n; i++) {
        b->end += qemu_plugin_insn_size(qemu_plugin_tb_get_insn(tb, i));
    }
    b->instructions = n;
    b->next = blocks;
    blocks = b;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, CB_NO_REGS, b);
}

static void finish(plugin_id id, void *userdata)
{
    (void)id;
    (void)userdata;
    if (phase == AFTER) {
        fprintf(out, "total %" PRIu64 "\n", total);
        for (size_t i = 0; i < layer_count; i++) {
            uint64_t stop = i + 1 < layer_count ? layers[i + 1] : total;
            fprintf(out, "layer %" PRIu64 "\n", stop - layers[i]);
        }
        for (block *b = blocks; b != NULL; b = b->next) {
            if (b->times != 0) {
                fprintf(out, "block %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", b->start,
                        b->instructions, b->times, b->followed);
            }
        }
    }
    fclose(out);
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "begin=", 6) == 0) {
            begin_at = strtoull(argv[i] + 6, NULL, 0);
        } else if (strncmp(argv[i], "end=", 4) == 0) {
            end_at = strtoull(argv[i] + 4, NULL, 0);
        } else if (strncmp(argv[i], "mark=", 5) == 0) {
            mark_at = strtoull(argv[i] + 5, NULL, 0);
        } else if (strncmp(argv[i], "out=", 4) == 0) {
            out = fopen(argv[i] + 4, "w");
        }
    }
    if (out == NULL) {
        fprintf(stderr, "count plugin: out=FILE is missing or can't be written\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
