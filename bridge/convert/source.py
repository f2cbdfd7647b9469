"""What the user named as a network, loaded: the module, its shapes, its default data."""

from __future__ import annotations

import inspect
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge import zoo
from bridge.convert.options import ConvertOptions
from bridge.convert.quiet import quiet
from bridge.data import USER, Dataset, attribute_of
from bridge.errors import DataError, InputError, ModelError

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Source:
    """A network to bring over.

    Attributes:
        name: for the bundle and reports.
        kind: ``torch``, ``pt2``, ``onnx`` or ``tflite``.
        network: the ``nn.Module`` in eval mode, the exported program, the ``ModelProto`` or the
            file's bytes.
        shapes: one per input, without the batch, as the network takes them; empty where the
            data must tell.
        data: the data set that belongs to it, or None.
        trained: whether its weights come from a checkpoint or file.
        remark: what the user should know of it, a sentence, or empty.
    """

    name: str
    kind: str
    network: Any
    shapes: Shapes
    data: str | None
    trained: bool
    remark: str = ""


def open_source(options: ConvertOptions) -> Source:
    """Load what ``options.model`` names.

    Raises:
        InputError: no such file, class, checkpoint or constructor argument.
    """
    text = options.model
    if text.endswith((".tflite", ".onnx", ".pt2")) and (options.weights or options.args):
        raise InputError(
            f"{text} holds its own weights and takes no constructor arguments",
            hint="leave --weights and --arg out, or give file.py:Class",
        )
    if text.endswith(".tflite"):
        return Source(Path(text).stem, "tflite", _bytes(Path(text)), (), None, True)
    if text.endswith(".onnx"):
        return _onnx(Path(text), options)
    if text.endswith(".pt2"):
        return _pt2(Path(text))
    if ":" in text:
        file, _, name = text.rpartition(":")
        network = _construct(attribute_of(Path(file), name), name, options)
        trained = options.weights is not None
        if options.weights is not None:
            network = load_weights(network, options.weights, allow_pickle=options.allow_pickle)
        return Source(name, "torch", network.eval(), options.input_shapes or (), None, trained)
    if text.endswith((".pt", ".pth", ".py")):
        raise InputError(
            f"{text} alone doesn't say which network it is",
            hint="give file.py:Class as MODEL and the checkpoint as --weights",
        )
    return _from_zoo(options)


def _from_zoo(options: ConvertOptions) -> Source:
    named = options.data if options.data and ":" not in options.data else None
    if options.weights is not None:
        entry = zoo.find(options.model)
        named = named or entry.dataset
    else:
        entry = zoo.find(options.model, named)
    network = _construct(
        attribute_of(entry.source_path, entry.class_name), entry.class_name, options
    )
    weights = options.weights or entry.checkpoint_path
    trained = weights.is_file()
    if trained or options.weights is not None:
        network = load_weights(network, weights, allow_pickle=options.allow_pickle)
    shapes = options.input_shapes or (tuple(entry.input_shape),)
    data = named or entry.dataset
    # Weights of the user's own are judged on what they were made for.
    stands_in = entry.stand_in and options.weights is None and data == entry.dataset
    remark = f"{data} is a stand-in: {entry.stand_in}" if stands_in else ""
    return Source(entry.name, "torch", network.eval(), shapes, data, trained, remark)


def _construct(factory: Any, name: str, options: ConvertOptions) -> Any:
    import torch

    if isinstance(factory, torch.nn.Module):
        return factory
    if not callable(factory):
        raise InputError(f"{name} is neither a class nor a function", hint="name an nn.Module")
    torch.manual_seed(options.seed)
    try:
        network = factory(**options.args)
    except TypeError as error:
        try:
            wanted = str(inspect.signature(factory))
        except (TypeError, ValueError):
            wanted = "(…)"
        raise InputError(
            f"{name} can't be made: {error}", hint=f"it takes {wanted}; give them with --arg"
        ) from error
    except Exception as error:
        raise InputError(
            f"{name} can't be made: {type(error).__name__}: {error}",
            hint="make it by hand in Python to see where",
        ) from error
    if not isinstance(network, torch.nn.Module):
        raise InputError(
            f"{name} gives a {type(network).__name__}, not an nn.Module",
            hint="name the class, or a function that returns the network",
        )
    return network


def load_weights(network: Any, path: Path, *, allow_pickle: bool = False) -> Any:
    """Load a state dict into a network; a whole pickled network only when allowed.

    Raises:
        InputError: no such file, no state dict, or names and shapes that don't fit.
    """
    import pickle

    import torch

    if not path.is_file():
        raise InputError(f"there is no checkpoint {path}", hint="check --weights")
    with path.open("rb") as stream:
        if stream.read(1) not in (b"P", b"\x80"):  # a zip archive, or a bare pickle
            raise InputError(f"{path} is no PyTorch checkpoint", hint="save it with torch.save")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        if not allow_pickle:
            raise InputError(
                f"{path} is a pickled object, not a state dict; loading it can run any code",
                hint="save model.state_dict() instead, or trust the file with --allow-pickle",
            ) from None
        try:
            with _findable(network):
                state = torch.load(path, map_location="cpu", weights_only=False)
        except Exception as error:
            raise InputError(
                f"{path} can't be unpickled: {type(error).__name__}: {error}",
                hint="its class must be in the file that MODEL names, or importable",
            ) from error
    except (RuntimeError, EOFError, OSError, ValueError, zipfile.BadZipFile, KeyError) as error:
        first = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(
            f"{path} is no PyTorch checkpoint: {first}", hint="save it with torch.save"
        ) from error
    if isinstance(state, torch.nn.Module):
        return state
    if isinstance(state, Mapping):
        for key in ("state_dict", "model_state_dict", "model"):
            if isinstance(state.get(key), Mapping):
                state = state[key]
                break
    if not isinstance(state, Mapping) or not all(hasattr(t, "shape") for t in state.values()):
        raise InputError(f"{path} holds no state dict", hint="save model.state_dict()")
    state = {str(k).removeprefix("module."): t for k, t in state.items()}
    own = network.state_dict()
    missing, extra = sorted(set(own) - set(state)), sorted(set(state) - set(own))
    wrong = [k for k in own if k in state and own[k].shape != state[k].shape]
    if missing or extra or wrong:
        words = []
        if wrong:
            k = wrong[0]
            words.append(f"{k} has shape {list(state[k].shape)} instead of {list(own[k].shape)}")
        if missing:
            words.append(f"it lacks {', '.join(missing[:3])}")
        if extra:
            words.append(f"it has {', '.join(extra[:3])} that the network lacks")
        raise InputError(
            f"the checkpoint {path} doesn't fit the network: {'; '.join(words)}",
            hint="give the checkpoint of this class, with the same constructor arguments (--arg)",
        )
    network.load_state_dict(state)
    return network


@contextmanager
def _findable(network: Any) -> Iterator[None]:
    """Let a pickle find the user's class where it was: in the script that ran, or in its file."""
    module = sys.modules[type(network).__module__]
    file = getattr(module, "__file__", None)
    names = ("__main__", Path(file).stem) if file and module.__name__.startswith(USER) else ()
    before = {name: sys.modules.get(name) for name in names}
    sys.modules.update(dict.fromkeys(names, module))
    try:
        yield
    finally:
        for name, earlier in before.items():
            if earlier is None:
                del sys.modules[name]
            else:
                sys.modules[name] = earlier


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}", hint="check the path") from None


def _onnx(path: Path, options: ConvertOptions) -> Source:
    import onnx

    _bytes(path)
    try:
        model = onnx.load(path)  # also weights that lie in a file beside it
        onnx.checker.check_model(model)
    except Exception as error:
        first = str(error).strip().splitlines()[0][:200] if str(error).strip() else "unreadable"
        raise InputError(
            f"{path} is no valid ONNX model: {first}",
            hint="export it again; a file of weights beside it (.onnx.data) must come along",
        ) from error
    constants = {i.name for i in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in constants]
    shapes: list[tuple[int, ...]] = []
    for position, item in enumerate(inputs):
        dims = item.type.tensor_type.shape.dim
        if options.input_shapes is not None and position < len(options.input_shapes):
            for dim, size in zip(dims[1:], options.input_shapes[position], strict=False):
                dim.dim_value = size
        shapes.append(tuple(int(d.dim_value) for d in dims[1:]))
        if any(s <= 0 for s in shapes[-1]) and options.input_shapes is None:
            raise ModelError(
                f"input {item.name!r} of {path} has a free shape {list(shapes[-1])}",
                hint="state it with --input-shape",
            )
    return Source(path.stem, "onnx", model, tuple(shapes), None, True)


def _pt2(path: Path) -> Source:
    import torch

    _bytes(path)
    try:
        with quiet():  # torch logs a whole traceback of a file that it can't read
            program = torch.export.load(path)
    except Exception as error:
        first = str(error).strip().splitlines()[0][:200] if str(error).strip() else ""
        raise InputError(
            f"{path} is no exported program: {first}", hint="save it with torch.export.save"
        ) from error
    names = set(program.graph_signature.user_inputs)
    shapes = []
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in names:
            shapes.append(tuple(int(d) for d in node.meta["val"].shape[1:]))
    return Source(path.stem, "pt2", program, tuple(shapes), None, True)


def shapes_of(source: Source, data: Dataset | None, options: ConvertOptions) -> Shapes:
    """The network's input shapes, checked against the data.

    Raises:
        DataError: they don't fit, or neither is there.
    """
    first = options.network_layout == "channels-first"
    from_data = None
    if data is not None:
        from_data = tuple(
            ((a.shape[-1], *a.shape[1:-1]) if first and a.ndim > 2 else a.shape[1:])
            for a in data.train_inputs
        )
    if source.shapes and from_data is not None and source.shapes != from_data:
        raise DataError(
            f"the network takes {_show(source.shapes)}, the data {data.name if data else ''} gives "
            f"{_show(from_data)} ({options.network_layout}, without the batch)",
            hint="check --layout (of the data) and --input-shape",
        )
    shapes = source.shapes or from_data
    if not shapes:
        raise DataError(
            f"nothing says what {source.name} takes as input",
            hint="give --data, or --input-shape (without the batch), for example 3x96x96",
        )
    return shapes


def _show(shapes: Shapes) -> str:
    return " and ".join("×".join(map(str, s)) for s in shapes)
