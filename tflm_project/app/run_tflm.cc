// Runs a network in TFLite Micro over every input of "inputs.bin" and writes "outputs.bin", on an
// emulated board. What was measured goes out as one `key=value` line each.
//
// An optional file "arena.bin" holds a little-endian number of bytes: only so much of the arena
// is given to the interpreter, which is how the smallest arena is found without linking again.
//
// Ends as run_c.c does, and with 4 where the tensors can't be allocated, 5 where a virtual function
// has no body.
#include <cstddef>
#include <cstdint>
#include <new>

#include "model_under_test.h"
#include "semihost.h"
#include "stack.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"
#include "ticks.h"

#define BUFFER __attribute__((section(".buffers"))) alignas(16)

BUFFER uint8_t runner_arena[MUT_ARENA_BYTES];

extern "C" {
// The counter starts at the first symbol and stops at the second.
__attribute__((noinline, used)) void bench_begin() { __asm volatile("" ::: "memory"); }
__attribute__((noinline, used)) void bench_end() { __asm volatile("" ::: "memory"); }
__attribute__((noinline, used)) void snn_layer_mark() { __asm volatile("" ::: "memory"); }

// What the C++ runtime asks for where nothing ever ends: no destructors at exit, and a reported
// end instead of the standard library's unwinder and its 20 kB.
extern void *__dso_handle;
void *__dso_handle = nullptr;
int __aeabi_atexit(void *, void (*)(void *), void *) { return 0; }
[[noreturn]] void __cxa_pure_virtual()
{
    semihost_line("error", "pure virtual call");
    semihost_exit(5);
}
}

namespace {

constexpr int kStatusFiles = 1;
constexpr int kStatusInvoke = 2;
constexpr int kStatusArena = 4;
constexpr int kStatusStack = 6;

mut_resolver operators;

#ifdef SNN_TRACE
// Marks each operator's start: hands out copies of the registrations whose Invoke marks first.
constexpr int kSlots = 32;
const TFLMRegistration *originals[kSlots];
TFLMRegistration copies[kSlots];

template <int Slot>
TfLiteStatus marked(TfLiteContext *context, TfLiteNode *node)
{
    snn_layer_mark();
    return originals[Slot]->invoke(context, node);
}

template <int Slot>
struct Invokes {
    static void fill(TfLiteStatus (**table)(TfLiteContext *, TfLiteNode *))
    {
        table[Slot - 1] = marked<Slot - 1>;
        Invokes<Slot - 1>::fill(table);
    }
};
template <>
struct Invokes<0> {
    static void fill(TfLiteStatus (**)(TfLiteContext *, TfLiteNode *)) {}
};

class MarkingResolver : public tflite::MicroOpResolver {
public:
    const TFLMRegistration *FindOp(tflite::BuiltinOperator op) const override
    {
        return mark(operators.FindOp(op));
    }
    const TFLMRegistration *FindOp(const char *op) const override { return mark(operators.FindOp(op)); }
    tflite::TfLiteBridgeBuiltinParseFunction GetOpDataParser(tflite::BuiltinOperator op) const override
    {
        return operators.GetOpDataParser(op);
    }

private:
    static const TFLMRegistration *mark(const TFLMRegistration *found)
    {
        TfLiteStatus (*table[kSlots])(TfLiteContext *, TfLiteNode *);
        if (found == nullptr) {
            return nullptr;
        }
        Invokes<kSlots>::fill(table);
        for (int slot = 0; slot < kSlots; slot++) {
            if (originals[slot] == found) {
                return &copies[slot];
            }
            if (originals[slot] == nullptr) {
                originals[slot] = found;
                copies[slot] = *found;
                copies[slot].invoke = table[slot];
                return &copies[slot];
            }
        }
        return found;
    }
    TF_LITE_REMOVE_VIRTUAL_DELETE
};
MarkingResolver resolver;
#else
mut_resolver &resolver = operators;
#endif

alignas(tflite::MicroInterpreter) uint8_t interpreter_storage[sizeof(tflite::MicroInterpreter)];

size_t arena_limit()
{
    const int32_t file = semihost_open("arena.bin", SEMIHOST_READ);
    uint32_t limit = 0;
    if (file < 0 || semihost_read(file, &limit, sizeof limit) != sizeof limit ||
        limit > sizeof runner_arena) {
        return sizeof runner_arena;
    }
    return limit;
}

// All inputs of one inference, straight into their tensors; false at the end of the file.
bool read_inputs(int32_t file, tflite::MicroInterpreter &interpreter)
{
    for (size_t i = 0; i < interpreter.inputs_size(); i++) {
        TfLiteTensor *tensor = interpreter.input(i);
        if (semihost_read(file, tensor->data.data, tensor->bytes) != tensor->bytes) {
            return false;
        }
    }
    return true;
}

bool write_outputs(int32_t file, tflite::MicroInterpreter &interpreter)
{
    for (size_t i = 0; i < interpreter.outputs_size(); i++) {
        const TfLiteTensor *tensor = interpreter.output(i);
        if (semihost_write(file, tensor->data.data, tensor->bytes) != 0) {
            return false;
        }
    }
    return true;
}

} // namespace

int main()
{
    const int32_t in = semihost_open("inputs.bin", SEMIHOST_READ);
    const int32_t out = semihost_open("outputs.bin", SEMIHOST_WRITE);
    if (in < 0 || out < 0) {
        semihost_line("error", "files");
        return kStatusFiles;
    }
    if (mut_add_operators(operators) != kTfLiteOk) {
        semihost_line("error", "operators");
        return kStatusFiles;
    }
    const size_t arena_bytes = arena_limit();
    tflite::MicroInterpreter &interpreter = *new (interpreter_storage) tflite::MicroInterpreter(
        tflite::GetModel(mut_model_data), resolver, runner_arena, arena_bytes);
    semihost_value("arena_size", static_cast<uint32_t>(arena_bytes));
    if (interpreter.AllocateTensors() != kTfLiteOk) {
        semihost_line("error", "arena");
        return kStatusArena;
    }
    semihost_value("arena_used", static_cast<uint32_t>(interpreter.arena_used_bytes()));
    uint32_t runs = 0;
    while (read_inputs(in, interpreter)) {
        TfLiteStatus status;
        if (runs == 0) {
            stack_paint();
            ticks_start();
            bench_begin();
            status = interpreter.Invoke();
            bench_end();
            const uint32_t ticks = ticks_elapsed();
            if (stack_report() != 0) {
                return kStatusStack;
            }
            semihost_value("ticks", ticks);
        } else {
            status = interpreter.Invoke();
        }
        if (status != kTfLiteOk) {
            semihost_value("invoke_status", static_cast<uint32_t>(status));
            return kStatusInvoke;
        }
        if (!write_outputs(out, interpreter)) {
            semihost_line("error", "write");
            return kStatusFiles;
        }
        runs++;
    }
    semihost_value("runs", runs);
    return 0;
}
