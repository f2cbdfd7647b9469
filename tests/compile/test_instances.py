"""Generated C keeps no state: no writable data anywhere, and two instances in two threads."""

from __future__ import annotations

import subprocess

import numpy as np

from bridge.compile import compile_graph
from bridge.firmware.host import run_on_host
from bridge.graph import read_tflite
from bridge.paths import tflm_project
from tests.compile.networks import int8_model, random_inputs, residual

_TWO_THREADS = """
#include <pthread.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include "model.h"

typedef struct {
    alignas(16) unsigned char arena[MODEL_ARENA_SIZE];
    signed char input[MODEL_INPUT0_SIZE], output[MODEL_OUTPUT0_SIZE], first[MODEL_OUTPUT0_SIZE];
    int wrong;
} instance;

static void *run(void *argument)
{
    instance *const self = argument;
    const void *inputs[] = {self->input};
    void *outputs[] = {self->output};
    for (int i = 0; i < 300; ++i) {
        self->wrong |= model_invoke(inputs, outputs, self->arena) != SNN_OK;
        if (i == 0) {
            memcpy(self->first, self->output, sizeof self->first);
        }
        self->wrong |= memcmp(self->first, self->output, sizeof self->first) != 0;
    }
    return NULL;
}

int main(void)
{
    static instance both[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; ++i) {
        if (fread(both[i].input, 1, MODEL_INPUT0_SIZE, stdin) != MODEL_INPUT0_SIZE) return 1;
        /* What the arena held before must not matter. */
        memset(both[i].arena, i ? 0x5a : 0xff, MODEL_ARENA_SIZE);
    }
    for (int i = 0; i < 2; ++i) pthread_create(&threads[i], NULL, run, &both[i]);
    for (int i = 0; i < 2; ++i) pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; ++i) fwrite(both[i].output, 1, MODEL_OUTPUT0_SIZE, stdout);
    return both[0].wrong | both[1].wrong;
}
"""


def _network():
    shape = (13, 10, 3)
    graph = read_tflite(int8_model(residual, shape, sparsity=0.5))
    return compile_graph(graph, engine="c-sparse"), random_inputs(shape, 3)[1:]


def test_two_threads_do_not_disturb_each_other(tmp_path):
    program, inputs = _network()
    expected = run_on_host(program, inputs)
    for name, text in {**program.files, "main.c": _TWO_THREADS}.items():
        (tmp_path / name).write_text(text)
    library = tflm_project() / "sparse_nn"
    sources = [*tmp_path.glob("*.c"), *(library / "src").glob("*.c")]
    subprocess.run(
        ["gcc", "-std=gnu11", "-O1", "-fsanitize=thread", "-pthread", f"-I{library / 'include'}",
         f"-I{tmp_path}", *map(str, sources), "-lm", "-o", str(tmp_path / "run")],
        check=True,
    )  # fmt: skip
    done = subprocess.run(
        [tmp_path / "run"], input=inputs.tobytes(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert np.array_equal(np.frombuffer(done.stdout, np.int8), expected.reshape(-1))


def test_nothing_is_writable(tmp_path):
    program, _ = _network()
    for name, text in program.files.items():
        (tmp_path / name).write_text(text)
    library = tflm_project() / "sparse_nn"
    sources = [*tmp_path.glob("*.c"), *(library / "src").glob("*.c")]
    subprocess.run(
        ["gcc", "-std=c11", "-O1", "-fno-pie", f"-I{library / 'include'}", f"-I{tmp_path}", "-c",
         *map(str, sources)],
        cwd=tmp_path,
        check=True,
    )  # fmt: skip
    listing = subprocess.run(
        ["nm", *map(str, tmp_path.glob("*.o"))], capture_output=True, text=True, check=True
    ).stdout
    symbols = [line.split()[-2:] for line in listing.splitlines() if len(line.split()) >= 2]
    assert not [name for kind, name in symbols if kind in "dDbBcC"]
    called = {name for kind, name in symbols if kind == "U"}
    assert not called & {"malloc", "calloc", "realloc", "free"}


def test_headers_are_c_and_cpp(tmp_path):
    program, _ = _network()
    (tmp_path / "model.h").write_text(program.files["model.h"])
    include = tflm_project() / "sparse_nn" / "include"
    text = "".join(f'#include "{path.name}"\n' for path in sorted(include.glob("*.h")))
    text += '#include "model.h"\n'
    strict = ["-Wall", "-Wextra", "-Werror", "-pedantic", f"-I{include}", f"-I{tmp_path}"]
    for compiler, standard, language in (("gcc", "c11", "c"), ("g++", "c++17", "c++")):
        subprocess.run(
            [compiler, f"-std={standard}", *strict, "-fsyntax-only", "-x", language, "-"],
            input=text,
            text=True,
            check=True,
        )
