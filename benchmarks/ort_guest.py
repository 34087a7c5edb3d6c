"""Runs under the arm64 Python: `ort_guest.py MODEL.onnx COUNT` infers COUNT times with onnxruntime."""

import sys

import numpy as np
import onnxruntime as ort


def main(path: str, count: str) -> None:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = {i.name: np.full(i.shape, 0.01, np.float32) for i in session.get_inputs()}
    for _ in range(int(count)):
        session.run(None, inputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
