#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write a small network with the kinds of node that AlexNet, Inception, DenseNet, ShuffleNet and their like are made of.

    make_light.py [--out FILE] [--half] [--seed N]

    input   x [1,3,33,33] float (float16 with --half)
    output  y [1,10], probabilities

Convolutions of all forms (wide and strided, 1x1, 3x3, grouped, depthwise, dilated), LRN, pools with ceil_mode and with padding, the
branches of an Inception block joined by Concat, a dense block, a channel shuffle, BatchNormalization that nothing absorbs, a sum
of two branches, Gemm and Softmax.
"""
import argparse

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Network:
    def __init__(self, seed, dtype):
        self.random = np.random.default_rng(seed)
        self.dtype = dtype
        self.nodes, self.constants, self.count = [], [], 0

    def constant(self, value):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, *shape):
        scale = (2 / max(1, int(np.prod(shape[1:])))) ** 0.5
        return self.constant((self.random.standard_normal(shape) * scale).astype(self.dtype))

    def node(self, op, *inputs, **attributes):
        self.count += 1
        self.nodes.append(helper.make_node(op, list(inputs), [f"v{self.count}"], name=f"n{self.count}", **attributes))
        return f"v{self.count}"

    def conv(self, x, channels, inputs, kernel, relu=True, group=1, **attributes):
        weight = self.weight(channels, inputs // group, kernel, kernel)
        y = self.node("Conv", x, weight, self.weight(channels), kernel_shape=[kernel, kernel], group=group, **attributes)
        return self.node("Relu", y) if relu else y

    def batch_norm(self, x, channels):
        scale, bias, mean = (self.weight(channels) for _ in range(3))
        variance = self.constant(self.random.uniform(0.5, 1.5, channels).astype(self.dtype))
        return self.node("Relu", self.node("BatchNormalization", x, scale, bias, mean, variance))

    def inception(self, x, inputs):
        branches = [
            self.conv(x, 16, inputs, 1),
            self.conv(self.conv(x, 8, inputs, 1), 32, 8, 3, pads=[1, 1, 1, 1]),
            self.conv(self.conv(x, 8, inputs, 1), 16, 8, 5, pads=[2, 2, 2, 2]),
            self.conv(self.node("AveragePool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1]), 16, inputs, 1),
        ]
        return self.node("Concat", *branches, axis=1)

    def dense(self, x, inputs):
        for _ in range(2):
            new = self.conv(self.batch_norm(x, inputs), 16, inputs, 3, relu=False, pads=[1, 1, 1, 1])
            x, inputs = self.node("Concat", x, new, axis=1), inputs + 16
        return x, inputs

    def shuffle(self, x, channels, size):
        y = self.conv(x, channels, channels, 1, group=4)
        y = self.node("Reshape", y, self.constant(np.array([1, 4, channels // 4, size, size], np.int64)))
        y = self.node("Transpose", y, perm=[0, 2, 1, 3, 4])
        y = self.node("Reshape", y, self.constant(np.array([1, channels, size, size], np.int64)))
        y = self.conv(y, channels, channels, 3, relu=False, group=channels, pads=[1, 1, 1, 1])
        return self.node("Relu", self.node("Add", x, y))


def build(seed, dtype):
    net = Network(seed, dtype)
    element = TensorProto.FLOAT16 if dtype == np.float16 else TensorProto.FLOAT
    y = net.conv("x", 32, 3, 5, strides=[2, 2])  # 15x15
    y = net.node("LRN", y, size=5, alpha=1e-4, beta=0.75, bias=1.0)
    y = net.node("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)  # 7x7
    y = net.inception(y, 32)
    y, channels = net.dense(y, 80)
    y = net.shuffle(y, channels, 7)
    y = net.conv(y, 8, channels, 3, dilations=[2, 2], pads=[2, 2, 2, 2])
    y = net.conv(y, 16, 8, 3, strides=[2, 2], pads=[1, 1, 1, 1])  # 4x4
    y = net.node("Flatten", net.node("GlobalAveragePool", y))
    y = net.node("Gemm", y, net.weight(16, 10), net.weight(10))
    net.nodes.append(helper.make_node("Softmax", [y], ["y"], name="probabilities", axis=1))
    graph = helper.make_graph(net.nodes, "light", [helper.make_tensor_value_info("x", element, [1, 3, 33, 33])],
                              [helper.make_tensor_value_info("y", element, [1, 10])], net.constants)
    model = helper.make_model(graph, producer_name="make_light.py", opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 7
    onnx.checker.check_model(model)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="light.onnx")
    parser.add_argument("--half", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    onnx.save(build(arguments.seed, np.float16 if arguments.half else np.float32), arguments.out)


main()
