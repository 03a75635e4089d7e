#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write MobileNetV2 1.0 (Sandler et al. 2018, table 2) for 224x224 with seeded random parameters.

    make_mobilenetv2.py [--out FILE] [--seed N] [--resolution 224] [--classes 1000] [--fold]

input image [1,3,R,R], output logits [1,classes], opset 13.  3.5 M parameters (14 MB), 301 M multiply-accumulates: not
kept in the repository.  --fold leaves BatchNormalization out (a Conv with a bias instead).
Needs python3-onnx and python3-numpy.
"""
import argparse

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# expansion, output channels, repeats, stride of the first: table 2 of the paper
BLOCKS = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
STEM, HEAD = 32, 1280


class Network:
	def __init__(self, seed, fold):
		self.random = np.random.Generator(np.random.PCG64(seed))
		self.fold = fold
		self.nodes, self.initializers = [], []
		self.macs = self.parameters = 0

	def parameter(self, name, array):
		self.initializers.append(numpy_helper.from_array(array.astype(np.float32), name))
		self.parameters += array.size
		return name

	def node(self, op, name, inputs, **attributes):
		self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
		return name

	def normal(self, shape, mean, deviation):
		return mean + deviation * np.clip(self.random.standard_normal(shape), -3, 3)

	def conv(self, name, x, cin, cout, size, kernel=1, stride=1, groups=1, relu=True, gain=1.0):
		"""Conv, BatchNormalization and Relu6; returns the name and the output's height."""
		fan_in = cin // groups * kernel * kernel
		out = (size + stride - 1) // stride
		pad = kernel // 2
		shape = (cout, cin // groups, kernel, kernel)
		inputs = [x, self.parameter(name + ".weight", self.normal(shape, 0, (2 / fan_in if relu else 1 / fan_in) ** .5))]
		if self.fold:
			inputs.append(self.parameter(name + ".bias", self.normal(cout, 0, 0.1)))
		self.macs += out * out * cout * fan_in
		y = self.node("Conv", name, inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, group=groups)
		if not self.fold:
			y = self.node("BatchNormalization", name + ".bn", [
				y, self.parameter(name + ".scale", self.normal(cout, gain, 0.1 * gain)),
				self.parameter(name + ".shift", self.normal(cout, 0, 0.1)),
				self.parameter(name + ".mean", self.normal(cout, 0, 0.1)),
				self.parameter(name + ".var", self.normal(cout, 1, 0.1))], epsilon=1e-5)
		if relu:
			y = self.node("Clip", name + ".relu6", [y, "zero", "six"])
		return y, out

	def block(self, name, x, cin, cout, size, expansion, stride):
		"""Inverted residual: expand 1x1, depthwise 3x3, project 1x1; a shortcut where the shapes allow."""
		y, hidden = x, cin * expansion
		if expansion != 1:
			y, size = self.conv(name + ".expand", y, cin, hidden, size)
		y, size = self.conv(name + ".depthwise", y, hidden, hidden, size, kernel=3, stride=stride, groups=hidden)
		shortcut = stride == 1 and cin == cout
		y, size = self.conv(name + ".project", y, hidden, cout, size, relu=False, gain=0.5 if shortcut else 1.0)
		if shortcut:
			y = self.node("Add", name + ".add", [x, y])
		return y, size

	def build(self, size, classes):
		self.initializers += [numpy_helper.from_array(np.float32(0), "zero"), numpy_helper.from_array(np.float32(6), "six")]
		x, size = self.conv("stem", "image", 3, STEM, size, kernel=3, stride=2)
		cin, index = STEM, 0
		for expansion, cout, repeats, stride in BLOCKS:
			for i in range(repeats):
				x, size = self.block(f"block{index}", x, cin, cout, size, expansion, stride if i == 0 else 1)
				cin, index = cout, index + 1
		x, size = self.conv("head", x, cin, HEAD, size)
		x = self.node("GlobalAveragePool", "pool", [x])
		x = self.node("Flatten", "flatten", [x], axis=1)
		self.macs += HEAD * classes
		self.node("Gemm", "logits", [
			x, self.parameter("classifier.weight", self.normal((classes, HEAD), 0, HEAD ** -.5)),
			self.parameter("classifier.bias", self.normal(classes, 0, 0.1))], transB=1)


def main():
	parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
	parser.add_argument("--out", default="mobilenetv2.onnx")
	parser.add_argument("--seed", type=int, default=1)
	parser.add_argument("--resolution", type=int, default=224)
	parser.add_argument("--classes", type=int, default=1000)
	parser.add_argument("--fold", action="store_true")
	args = parser.parse_args()

	network = Network(args.seed, args.fold)
	network.build(args.resolution, args.classes)
	side = args.resolution
	graph = helper.make_graph(
		network.nodes, "mobilenetv2", [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, side, side])],
		[helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, args.classes])], network.initializers)
	model = helper.make_model(graph, producer_name="axl", ir_version=7, opset_imports=[helper.make_opsetid("", 13)])
	onnx.checker.check_model(model)
	onnx.save(model, args.out)
	print(f"{args.out}: {network.parameters} parameters, {network.macs / 1e6:.1f} M multiply-accumulates")


if __name__ == "__main__":
	main()
