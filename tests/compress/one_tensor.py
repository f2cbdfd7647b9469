"""The smallest network that reads one weight tensor of a given shape, written by hand."""

from __future__ import annotations

import flatbuffers
import numpy as np

from bridge.graph.rewrite import schema as tflite_schema

KINDS = {"FULLY_CONNECTED": 0, "CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}
"""Operator → the dimension that channels run along."""


def one_tensor_model(kind, weights, scales=(0.5,), zero_points=(0,), axis=None):
    """A .tflite with one operator.

    Args:
        kind: a key of :data:`KINDS`.
        weights: int8, laid out as the operator wants them.
        scales: one, or one for each channel.
        zero_points: likewise; the operator may ignore them, DECODE does not.
        axis: quantized dimension; the operator's own where left out.

    Returns:
        the model's bytes and the index of the weight tensor.
    """
    schema = tflite_schema()
    builtin, types = schema.BuiltinOperator, schema.TensorType
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = weights.reshape(-1).view(np.uint8)

    def tensor(name, shape, buffer, scales, zero_points, axis=0):
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, list(shape), types.INT8, buffer
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale = [float(s) for s in scales]
        made.quantization.zeroPoint = [int(z) for z in zero_points]
        made.quantization.quantizedDimension = axis
        return made

    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0, 1, -1], [2]
    if kind == "DEPTHWISE_CONV_2D":
        operator.inputs = [0, 1]  # TFLM takes no -1 here
    if kind == "FULLY_CONNECTED":
        outputs, inputs = weights.shape
        shapes = (1, inputs), (1, outputs)
        operator.builtinOptions = schema.FullyConnectedOptionsT()
        operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    else:
        height, width = weights.shape[1:3]
        channels = weights.shape[3]
        outputs = channels if kind == "DEPTHWISE_CONV_2D" else weights.shape[0]
        shapes = (1, height, width, channels), (1, 1, 1, outputs)
        name = "DepthwiseConv2DOptions" if kind == "DEPTHWISE_CONV_2D" else "Conv2DOptions"
        operator.builtinOptions = getattr(schema, f"{name}T")()
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        operator.builtinOptions.padding = schema.Padding.VALID
        operator.builtinOptions.strideH = operator.builtinOptions.strideW = 1
        if kind == "DEPTHWISE_CONV_2D":
            operator.builtinOptions.depthMultiplier = 1
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor("x", shapes[0], 0, (1.0,), (0,)),
        tensor("w", weights.shape, 1, scales, zero_points, KINDS[kind] if axis is None else axis),
        tensor("y", shapes[1], 0, (8.0,), (0,)),
    ]
    graph.inputs, graph.outputs, graph.operators = [0], [2], [operator]
    model.subgraphs = [graph]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(builtin, kind)
    code.version = 1
    model.operatorCodes = [code]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output()), 1


def decoded_weights(model):
    """What TFLite Micro's DECODE made of a one-tensor model's weights, after a run."""
    from bridge.convert.tflm import interpreter
    from bridge.graph import read_tflite

    graph = read_tflite(model)
    decode = graph.operators[0]
    assert decode.kind == "CUSTOM:TFLM_DECODE"
    engine = interpreter(model, preserve=True)
    engine.set_input(np.ones(graph.tensor(graph.inputs[0]).shape, np.int8), 0)
    engine.invoke()
    return np.array(engine.GetTensor(decode.outputs[0], 0)["tensor_data"]).view(np.int8)
