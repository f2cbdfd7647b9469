"""Keep the start-up noise of TensorFlow, absl and onnx2tf away from the user.

Much of it is written by C++ straight to file descriptors 1 and 2, so these are turned aside,
into a file that is kept for the error message when the guarded work fails.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def quiet() -> Iterator[None]:
    """Swallow what the block writes to stdout and stderr, on the level of the process.

    An exception passes through, with the last lines of what was swallowed as a note in its
    ``bridge_noise`` attribute.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    with tempfile.TemporaryFile() as sink, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            yield
        except BaseException as error:
            _flush()
            sink.seek(0)
            error.__dict__["bridge_noise"] = sink.read()[-4000:].decode(errors="replace")
            raise
        finally:
            _flush()
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            for handle in kept:
                os.close(handle)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a closed stream has nothing to lose
            stream.flush()


def tensorflow() -> tuple[Any, Any]:
    """TensorFlow and Keras 2, imported without a word; tfmot needs Keras 2.

    Returns:
        the modules ``tensorflow`` and ``tf_keras``.
    """
    if "tensorflow" not in sys.modules:
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its results vary with threads
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    with quiet():
        import tensorflow as tf
        import tf_keras

        if "bridge_quiet" not in tf.__dict__:
            tf.__dict__["bridge_quiet"] = True
            tf.get_logger().setLevel(logging.ERROR)
            logging.getLogger("absl").setLevel(logging.ERROR)
            tf.config.experimental.enable_op_determinism()
    return tf, tf_keras


def quantizer_library() -> Any:
    """tensorflow_model_optimization, imported without a word."""
    tensorflow()
    with quiet():
        import tensorflow_model_optimization as tfmot
    return tfmot


def plainly(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function in which Keras layers are traced as they stand.

    None of them branches on a tensor's value, so rewriting their source (autograph) would only
    take time.
    """
    tf, _ = tensorflow()
    wrapped: Callable[..., Any] = tf.autograph.experimental.do_not_convert(function)
    return wrapped
