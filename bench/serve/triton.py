"""Serves the ONNX models by Triton's Python back end: `triton.py FOLDER HTTP_PORT GRPC_PORT METRICS_PORT`."""

from __future__ import annotations

import pathlib
import sys

import numpy as np
import onnxruntime
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

folder = pathlib.Path(sys.argv[1])
http, grpc, metrics = (int(word) for word in sys.argv[2:5])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
with Triton(config=TritonConfig(http_port=http, grpc_port=grpc, metrics_port=metrics, http_address="127.0.0.1")) as triton:
    for name in ("lr", "forest"):
        session = onnxruntime.InferenceSession(str(folder / name / "onnx" / "model.onnx"), options)

        @batch
        def infer(X, session=session):
            label, chances = session.run(None, {session.get_inputs()[0].name: X.astype(np.float32)})
            return [label.reshape(-1, 1), chances]

        triton.bind(
            model_name=name,
            infer_func=infer,
            inputs=[Tensor(name="X", dtype=np.float64, shape=(20,))],
            outputs=[Tensor(name="label", dtype=np.int64, shape=(1,)), Tensor(name="chances", dtype=np.float32, shape=(3,))],
            config=ModelConfig(max_batch_size=128),
        )
    triton.serve()
