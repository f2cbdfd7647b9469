"""The TFLM operator resolver that one network needs, and nothing more.

``MicroMutableOpResolver`` links every operator that is added to it. CMSIS-NN's registrations for
one type alone (``Register_CONV_2D_INT8``) leave out the kernels of all other types. They do not
look at the types of the tensors they meet, so they are chosen here by the tensors that the network
really has; a kind of operator that appears with other types too gets its generic registration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.errors import UnsupportedOperator
from bridge.graph import Graph, Operator
from bridge.text import environment

if TYPE_CHECKING:
    from bridge.compile.registrations import Registrations

_PLAIN = """
ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND
BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM DEPTH_TO_SPACE
DEPTHWISE_CONV_2D DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE EMBEDDING_LOOKUP ELU EQUAL EXP EXPAND_DIMS
FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH
IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR
LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD
PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE
RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX
SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE
STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK
VAR_HANDLE WHILE ZEROS_LIKE
"""
_WORDS = {"2D": "2D", "CUMSUM": "CumSum", "MATMUL": "MatMul", "PADV2": "PadV2", "LSTM": "LSTM"}
_CUSTOM = {"CUSTOM:TFLM_DECODE": "AddDecode"}

METHODS: Mapping[str, str] = {
    kind: "Add" + "".join(_WORDS.get(word, word.capitalize()) for word in kind.split("_"))
    for kind in _PLAIN.split()
} | _CUSTOM
"""TFLite's operator name → the method of ``MicroMutableOpResolver`` that adds it."""


@dataclass(frozen=True)
class Special:
    """A registration for some types alone.

    Attributes:
        registration: the function that returns it.
        header: where TFLM declares it, below ``tensorflow/lite/micro/kernels``.
        fits: whether one operator of the network has those types.
    """

    registration: str
    header: str
    fits: Callable[[Graph, Operator], bool]


def _types(inputs: str, outputs: str) -> Callable[[Graph, Operator], bool]:
    """A test of the leading input types and of the outputs' type.

    Args:
        inputs: one type for each input in its order, separated by spaces.
        outputs: the type of every output.
    """
    wanted = inputs.split()

    def fits(graph: Graph, operator: Operator) -> bool:
        tensors = [graph.input(operator, i) for i in range(len(wanted))]
        found = [tensor.dtype if tensor is not None else "" for tensor in tensors]
        made = {graph.tensor(i).dtype for i in operator.outputs}
        return found == wanted and made == {outputs}

    return fits


def _weighted(activation: str, header: str, name: str) -> Special:
    return Special(
        f"Register_{name}_{activation.upper()}", header, _types(f"{activation} int8", activation)
    )


_SPECIAL: Mapping[str, Sequence[Special]] = {
    "CONV_2D": [_weighted(t, "conv.h", "CONV_2D") for t in ("int8", "int16")],
    "DEPTHWISE_CONV_2D": [
        _weighted(t, "depthwise_conv.h", "DEPTHWISE_CONV_2D") for t in ("int8", "int16")
    ],
    "FULLY_CONNECTED": [
        _weighted(t, "fully_connected.h", "FULLY_CONNECTED") for t in ("int8", "int16")
    ],
    "TRANSPOSE_CONV": [
        # Its inputs: output shape, weights, activations.
        Special(
            "Register_TRANSPOSE_CONV_INT8", "transpose_conv.h", _types("int32 int8 int8", "int8")
        )
    ],
    "SOFTMAX": [
        Special("Register_SOFTMAX_INT8", "softmax.h", _types("int8", "int8")),
        Special("Register_SOFTMAX_INT16", "softmax.h", _types("int16", "int16")),
        Special("Register_SOFTMAX_INT8_INT16", "softmax.h", _types("int8", "int16")),
    ],
    **{
        kind: [
            Special(f"Register_{kind}_{t.upper()}", "pooling.h", _types(t, t))
            for t in ("int8", "int16")
        ]
        for kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D")
    },
    "ADD": [
        Special(f"Register_ADD_{t.upper()}", "add.h", _types(f"{t} {t}", t))
        for t in ("int8", "int16")
    ],
    "MUL": [Special("Register_MUL_INT8", "mul.h", _types("int8 int8", "int8"))],
    "MAXIMUM": [Special("Register_MAXIMUM_INT8", "maximum_minimum.h", _types("int8 int8", "int8"))],
    "MINIMUM": [Special("Register_MINIMUM_INT8", "maximum_minimum.h", _types("int8 int8", "int8"))],
    "PAD": [Special("Register_PAD_INT8", "pad.h", _types("int8 int32", "int8"))],
    "TRANSPOSE": [Special("Register_TRANSPOSE_INT8", "transpose.h", _types("int8 int32", "int8"))],
}


@dataclass(frozen=True)
class Registration:
    """How one kind of operator is added.

    Attributes:
        kind: TFLite's name.
        method: of ``MicroMutableOpResolver``.
        registration: the argument; empty for the generic default.
        header: that declares the argument; empty without one.
    """

    kind: str
    method: str
    registration: str = ""
    header: str = ""


def registrations(graph: Graph) -> tuple[Registration, ...]:
    """One registration for each kind of operator in the network, in the order of first use.

    Raises:
        UnsupportedOperator: TFLM has no operator of that kind.
    """
    kinds: dict[str, list[Operator]] = {}
    for operator in graph.operators:
        if operator.kind not in METHODS:
            raise UnsupportedOperator(
                operator.kind, operator.name, hint="TFLite Micro has no such operator"
            )
        kinds.setdefault(operator.kind, []).append(operator)
    return tuple(_registration(graph, kind, kinds[kind]) for kind in kinds)


def _registration(graph: Graph, kind: str, operators: Sequence[Operator]) -> Registration:
    for special in _SPECIAL.get(kind, ()):
        if all(special.fits(graph, operator) for operator in operators):
            return Registration(kind, METHODS[kind], special.registration, special.header)
    return Registration(kind, METHODS[kind])


def sparse_arguments(graph: Graph, found: Registrations) -> dict[str, str]:
    """The registrations of ``snn_tflm.h`` for the kinds of operators that our kernels run.

    Each falls back to TFLM's own where some layer of its kind is left dense.

    Args:
        graph: the network as it was before its weights left the flatbuffer.
        found: its layers, see :func:`bridge.compile.registrations.register_layers`.

    Returns:
        Operator kind to C++ expression.
    """
    table = f"&{found.prefix}_sparse"
    arguments = {}
    for r in registrations(graph):
        if r.kind in found.kinds:
            dense = r.registration or f"Register_{r.kind}"
            rest = f", tflite::{dense}" if r.kind in found.others else ""
            arguments[r.kind] = f"snn_tflm::Register<{table}{rest}>()"
    return arguments


def resolver_header(
    graph: Graph, prefix: str = "model", *, sparse: Registrations | None = None
) -> str:
    """A C++17 header with ``<prefix>_resolver``: the operators of one network for TFLM.

    Args:
        graph: the network.
        prefix: what every name starts with; a C identifier.
        sparse: layers that our kernels run, if any.

    Raises:
        UnsupportedOperator: TFLM has no operator of that kind.
    """
    found = registrations(graph)
    own = sparse_arguments(graph, sparse) if sparse else {}
    arguments = {
        r.kind: own.get(r.kind, f"tflite::{r.registration}()" if r.registration else "")
        for r in found
    }
    headers = {r.header for r in found if r.kind not in own or "tflite::" in own[r.kind]} - {""}
    return (
        environment("bridge.firmware")
        .get_template("resolver.h.j2")
        .render(
            prefix=prefix,
            registrations=found,
            arguments=arguments,
            headers=sorted(headers),
            sparse=sparse,
        )
    )
