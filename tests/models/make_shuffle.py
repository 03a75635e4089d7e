#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write two channel shuffles between convolutions of groups and depthwise ones, with what they must give by plain sums.

    make_shuffle.py [--out FOLDER] [--seed N]

    input   x [1,16,12,12] float
    output  y [1,40,6,6]

In the first the channels of a group are a multiple of the ways of the shuffle, in the second they are not.
"""
import argparse
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Network:
    """Nodes and constants, and the value of what is made as it is made."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.constants = [], []

    def constant(self, value):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def node(self, op_type, inputs, **attributes):
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [name], name=name, **attributes))
        return name

    def conv(self, x, outputs, groups=1, kernel=1, stride=1):
        name, value = x
        inner = value.shape[0] // groups
        w = (self.random.standard_normal((outputs, inner, kernel, kernel)) / np.sqrt(inner * kernel**2)).astype(np.float32)
        b = self.random.standard_normal(outputs).astype(np.float32)
        pad = kernel // 2
        name = self.node("Conv", [name, self.constant(w), self.constant(b)], group=groups, kernel_shape=[kernel] * 2,
                         strides=[stride] * 2, pads=[pad] * 4)
        padded = np.pad(value, ((0, 0), (pad, pad), (pad, pad)))
        side = (value.shape[1] + 2 * pad - kernel) // stride + 1
        result = np.tile(b.astype(np.float64)[:, None, None], (1, side, side))
        for o in range(outputs):
            first = o // (outputs // groups) * inner
            for c in range(inner):
                for ky in range(kernel):
                    for kx in range(kernel):
                        window = padded[first + c, ky : ky + side * stride : stride, kx : kx + side * stride : stride]
                        result[o] += float(w[o, c, ky, kx]) * window
        return name, result

    def relu(self, x):
        return self.node("Relu", [x[0]]), np.maximum(x[1], 0)

    def shuffle(self, x, ways):
        channels, height, width = x[1].shape
        name = self.node("Reshape", [x[0], self.constant(np.array([1, ways, channels // ways, height, width]))])
        name = self.node("Transpose", [name], perm=[0, 2, 1, 3, 4])
        name = self.node("Reshape", [name, self.constant(np.array([1, channels, height, width]))])
        parts = x[1].reshape(ways, channels // ways, height, width)
        return name, parts.transpose(1, 0, 2, 3).reshape(channels, height, width)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="tests/models/shuffle")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    net = Network(args.seed)
    image = net.random.standard_normal((16, 12, 12)).astype(np.float32)
    x = net.relu(net.conv(("x", image.astype(np.float64)), 48, groups=4))
    x = net.conv(net.shuffle(x, 4), 48, groups=48, kernel=3)
    x = net.relu(net.conv(x, 48, groups=4))
    x = net.relu(net.conv(x, 36, groups=2))
    x = net.conv(net.shuffle(x, 2), 36, groups=36, kernel=3, stride=2)
    name, value = net.conv(x, 40, groups=4)
    graph = helper.make_graph(net.nodes, "shuffle", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *image.shape])],
                              [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *value.shape])], net.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    os.makedirs(f"{args.out}/test_data_set_0", exist_ok=True)
    onnx.save(model, f"{args.out}/model.onnx")
    for file, tensor, array in (("input_0", "x", image), ("output_0", name, value.astype(np.float32))):
        with open(f"{args.out}/test_data_set_0/{file}.pb", "wb") as out:
            out.write(numpy_helper.from_array(array[None], tensor).SerializeToString())


if __name__ == "__main__":
    main()
