"""Where TFLite Micro would compute something else than TFLite means, say it in another operator.

TFLite Micro's RELU6 clamps the bytes of its input and never looks at its output's scale
(tensorflow/lite/micro/kernels/activations_common.cc, ``Relu6Prepare``), while TFLite's converter
gives the two different scales wherever a ReLU6 is not fused into the layer before it. The output
would be wrong without a word. Its own range, 0 to 6 at most, clips all by itself: QUANTIZE, which
only goes from one scale to another, is the same function there.
"""

from __future__ import annotations

from typing import Any

from bridge.graph.rewrite import pack, schema, unpack

_SIX = 6.0 * 1.001


def mend_relu6(content: bytes) -> bytes:
    """Replace each RELU6 that changes the scale by QUANTIZE; other files keep their bytes.

    Args:
        content: a .tflite as TFLite's converter wrote it.
    """
    model = unpack(content)
    kinds = schema().BuiltinOperator
    graph = model.subgraphs[0]
    mended = False
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) != kinds.RELU6:
            continue
        source, result = (
            _scale(graph.tensors[int(i)]) for i in (operator.inputs[0], operator.outputs[0])
        )
        if source is None or result is None or source == result or not _clips(*result):
            continue
        operator.opcodeIndex = _code(model, kinds.QUANTIZE)
        operator.builtinOptionsType = schema().BuiltinOptions.QuantizeOptions
        operator.builtinOptions = schema().QuantizeOptionsT()
        mended = True
    return pack(model) if mended else content


def _scale(tensor: Any) -> tuple[float, int] | None:
    """A tensor's one scale and zero point, or None."""
    q = tensor.quantization
    if q is None or q.scale is None or len(q.scale) != 1:
        return None
    return float(q.scale[0]), int(q.zeroPoint[0])


def _clips(scale: float, zero_point: int) -> bool:
    """Whether int8 itself ends at 0 and not beyond 6."""
    return zero_point == -128 and 255 * scale <= _SIX


def _code(model: Any, kind: int) -> int:
    """The index of an operator code, added where the model has none."""
    for index, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == kind:
            return index
    code = schema().OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = kind
    code.version = 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1
