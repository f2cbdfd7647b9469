"""Which operators, in which versions, TFLM's op resolver can register.

Names and versions follow tensorflow/lite/micro/micro_mutable_op_resolver.h; the versions are the
highest that its kernels' preparation accepts for int8. What counts in the end is the interpreter,
which every finished file is run in; this check names the operator before that.
"""

from __future__ import annotations

from bridge.errors import UnsupportedOperator
from bridge.graph import Graph, Operator

_NAMES = """
ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND
BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM DEPTH_TO_SPACE
DEPTHWISE_CONV_2D DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS
FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH
IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG LOG_SOFTMAX LOGICAL_AND
LOGICAL_NOT LOGICAL_OR LOGISTIC MAX_POOL_2D MAXIMUM MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL
PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE
RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX
SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE
STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK
VAR_HANDLE WHILE ZEROS_LIKE DECODE
"""

REGISTERED = frozenset(_NAMES.split())

HIGHEST_VERSION = {
    "ADD": 4,
    "AVERAGE_POOL_2D": 3,
    "CONCATENATION": 3,
    "CONV_2D": 8,
    "DEPTHWISE_CONV_2D": 7,
    "FULLY_CONNECTED": 12,
    "MAX_POOL_2D": 3,
    "MUL": 5,
    "RESHAPE": 1,
    "SOFTMAX": 3,
    "STRIDED_SLICE": 5,
    "SUB": 5,
    "TRANSPOSE_CONV": 4,
}

CONCATENATION_INPUTS = 10

_MOVING = """
AVERAGE_POOL_2D CONCATENATION DEPTH_TO_SPACE EXPAND_DIMS GATHER MAX_POOL_2D MIRROR_PAD PACK PAD
RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR SLICE SPACE_TO_DEPTH SPLIT SPLIT_V SQUEEZE
STRIDED_SLICE TRANSPOSE UNPACK
"""

KEEP_SCALE = frozenset(_MOVING.split())
"""Operators whose kernels move or clamp bytes and look at no scale: in and out must have one."""


def check_operators(graph: Graph) -> int:
    """Hold every operator against what TFLM registers.

    Returns:
        how many operators were checked.

    Raises:
        UnsupportedOperator: TFLM has no kernel for one, or not in this version or size.
    """
    for op in graph.operators:
        kind = op.kind.removeprefix("CUSTOM:TFLM_")
        if kind not in REGISTERED:
            raise UnsupportedOperator(
                op.kind, op.name, hint="TFLite Micro registers no such operator; replace the layer"
            )
        highest = HIGHEST_VERSION.get(op.kind)
        if highest is not None and op.version > highest:
            raise UnsupportedOperator(
                f"{op.kind} version {op.version}",
                op.name,
                hint=f"TFLite Micro's kernel goes up to version {highest}",
            )
        if op.kind in KEEP_SCALE and _rescales(graph, op):
            raise UnsupportedOperator(
                f"{op.kind} between two scales",
                op.name,
                hint="TFLite Micro's kernel ignores the output's scale and would be wrong; fuse it "
                "into the layer before it, or give the network as PyTorch or ONNX",
            )
        if op.kind == "CONCATENATION" and len(op.inputs) > CONCATENATION_INPUTS:
            raise UnsupportedOperator(
                f"CONCATENATION of {len(op.inputs)} tensors",
                op.name,
                hint=f"TFLite Micro takes {CONCATENATION_INPUTS}; join them in groups",
            )
    return len(graph.operators)


def _rescales(graph: Graph, op: Operator) -> bool:
    """Whether an operator's int8 tensors differ in scale or zero point."""
    tensors = [graph.tensor(i) for i in (*op.inputs, *op.outputs) if i >= 0]
    known = [t.quantization for t in tensors if t.dtype == "int8" and t.quantization is not None]
    return any(
        q.zero_point != known[0].zero_point or abs(q.scale / known[0].scale - 1) > 1e-3
        for q in known
    )
