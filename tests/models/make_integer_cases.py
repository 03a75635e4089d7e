#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write a model of random integer operators, each with inputs of its own, and the inputs as a data set.

    make_integer_cases.py --out DIR --seed S [--cases N] [--kind sums|steps]

sums:  QLinearConv, QLinearMatMul, ConvInteger, MatMulInteger, QDQ Conv, QDQ Gemm, QDQ MatMul: int32 sums, rounded once
steps: QDQ Add, Mul, MaxPool, AveragePool: computed from what the bytes mean, and rounded

Types of inputs and weights (uint8, int8), zero points, scales by tensor or channel, shapes, strides, pads, dilations and
groups are random.  The same seed gives the same files.  Needs python3-onnx.
"""
import argparse
import os

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save, shape_inference


class Cases:
	def __init__(self, seed):
		self.rng = np.random.default_rng(seed)
		self.nodes, self.inputs, self.outputs, self.constants, self.data = [], [], [], [], []

	def integer(self, low, high):
		return int(self.rng.integers(low, high + 1))

	def chance(self, p=0.5):
		return self.rng.random() < p

	def name(self):
		return f"v{len(self.nodes)}_{len(self.constants)}_{len(self.inputs)}"

	def constant(self, array):
		name = "c" + self.name()
		self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
		return name

	def bytes(self, dtype, shape):
		info = np.iinfo(dtype)
		return self.rng.integers(info.min, info.max + 1, shape).astype(dtype)

	def input(self, array):
		name = "x" + self.name()
		kind = TensorProto.UINT8 if array.dtype == np.uint8 else TensorProto.INT8
		self.inputs.append(helper.make_tensor_value_info(name, kind, array.shape))
		self.data.append((name, array))
		return name

	def output(self, name, kind):
		self.outputs.append(helper.make_tensor_value_info(name, kind, None))

	def add(self, op, inputs, **attributes):
		out = "y" + self.name()
		self.nodes.append(helper.make_node(op, inputs, [out], **attributes))
		return out

	def dtype(self):
		return np.uint8 if self.chance() else np.int8

	def scale(self, low=-7, high=-1):
		return np.float32(2.0 ** self.rng.uniform(low, high))

	def zero(self, dtype):
		return self.bytes(dtype, ()) if self.chance(0.8) else np.array(np.iinfo(dtype).min, dtype)

	def conv_shape(self):
		group = 1 if self.chance(0.6) else self.integer(2, 6)
		cin, cout = self.integer(1, 6), self.integer(1, 6)
		if group > 1 and self.chance():
			cin = 1  # depthwise
		kernel = [self.integer(1, 4), self.integer(1, 4)]
		attributes = {"group": group, "kernel_shape": kernel, "strides": [self.integer(1, 2), self.integer(1, 2)],
			"dilations": [self.integer(1, 2), self.integer(1, 2)],
			"pads": [self.integer(0, k - 1) for k in kernel] + [self.integer(0, k - 1) for k in kernel]}
		size = [(k - 1) * d + 1 + self.integer(0, 8) for k, d in zip(kernel, attributes["dilations"])]
		return [self.integer(1, 2), group * cin] + size, [group * cout, cin] + kernel, attributes

	def output_scale(self, sums, x_scale, w_scales):
		"""One at which the outputs of that many summands use the bytes."""
		return np.float32(float(x_scale) * float(np.mean(w_scales)) * 60 * np.sqrt(sums) * self.rng.uniform(0.3, 3))

	def weights(self, shape, axis, x_dtype):
		"""Weights, their scales (by channel or one), their zero point of the same shape."""
		# ONNX Runtime has no kernels for int8 by uint8.
		dtype = np.int8 if x_dtype == np.int8 or self.chance(0.7) else np.uint8
		channels = shape[axis] if self.chance() else None
		scales = np.array([self.scale() for _ in range(channels)], np.float32) if channels else np.float32(self.scale())
		zero = np.zeros(scales.shape, dtype) if dtype == np.int8 or channels else self.zero(dtype)
		return self.bytes(dtype, shape), scales, np.asarray(zero, dtype)

	# ---- sums ----

	def qlinear_conv(self):
		xs, ws, attributes = self.conv_shape()
		dtype = self.dtype()
		w, ws_scale, w_zero = self.weights(ws, 0, dtype)
		x_scale, sums = self.scale(), int(np.prod(ws[1:]))
		inputs = [self.input(self.bytes(dtype, xs)), self.constant(np.array(x_scale)), self.constant(self.zero(dtype)),
			self.constant(w), self.constant(np.asarray(ws_scale)), self.constant(w_zero),
			self.constant(np.array(self.output_scale(sums, x_scale, ws_scale))), self.constant(self.zero(dtype))]
		if self.chance():
			inputs.append(self.constant(self.rng.integers(-5000, 5000, ws[0]).astype(np.int32)))
		self.output(self.add("QLinearConv", inputs, **attributes), TensorProto.UINT8 if dtype == np.uint8 else TensorProto.INT8)

	def matrices(self):
		m, k, n = self.integer(1, 12), self.integer(1, 40), self.integer(1, 12)
		return ([self.integer(1, 3)] if self.chance(0.3) else []) + [m, k], [k, n]

	def qlinear_matmul(self):
		a, b = self.matrices()
		dtype = self.dtype()
		w, scales, zero = self.weights(b, 1, dtype)
		x_scale = self.scale()
		inputs = [self.input(self.bytes(dtype, a)), self.constant(np.array(x_scale)), self.constant(self.zero(dtype)),
			self.constant(w), self.constant(np.asarray(scales)), self.constant(zero),
			self.constant(np.array(self.output_scale(b[0], x_scale, scales))), self.constant(self.zero(dtype))]
		self.output(self.add("QLinearMatMul", inputs), TensorProto.UINT8 if dtype == np.uint8 else TensorProto.INT8)

	def conv_integer(self):
		xs, ws, attributes = self.conv_shape()
		# ONNX Runtime has ConvInteger of uint8 inputs only.
		inputs = [self.input(self.bytes(np.uint8, xs)), self.constant(self.bytes(np.uint8, ws)),
			self.constant(self.zero(np.uint8)), self.constant(self.zero(np.uint8))]
		self.output(self.add("ConvInteger", inputs, **attributes), TensorProto.INT32)

	def matmul_integer(self):
		a, b = self.matrices()
		dtype = self.dtype()
		wtype = np.int8 if dtype == np.int8 else self.dtype()
		inputs = [self.input(self.bytes(dtype, a)), self.constant(self.bytes(wtype, b)), self.constant(self.zero(dtype)),
			self.constant(self.zero(wtype))]
		self.output(self.add("MatMulInteger", inputs), TensorProto.INT32)

	def dequantize(self, q, scale, zero, **attributes):
		inputs = [q, self.constant(np.asarray(scale))]
		if zero is not None:
			inputs.append(self.constant(zero))
		return self.add("DequantizeLinear", inputs, **attributes)

	def quantize(self, x, scale, dtype, relu=False):
		zero = self.zero(dtype)
		if relu:
			x, zero = self.add("Relu", [x]), np.array(np.iinfo(dtype).min, dtype)
		y = self.add("QuantizeLinear", [x, self.constant(np.array(scale)), self.constant(zero)])
		self.output(y, TensorProto.UINT8 if dtype == np.uint8 else TensorProto.INT8)

	def qdq_weighted(self, op, xs, ws, axis, attributes):
		dtype = self.dtype()
		x_scale = self.scale()
		w, scales, zero = self.weights(ws, axis, dtype)
		if op == "MatMul" and scales.shape:
			# ONNX Runtime runs a QDQ MatMul with a scale a column in floats, whose sums may fall on the other side of a
			# rounding edge; QLinearMatMul above has them.
			scales, zero = scales[0], zero[0]
		inputs = [self.dequantize(self.input(self.bytes(dtype, xs)), x_scale, self.zero(dtype)),
			self.dequantize(self.constant(w), scales, zero, **({"axis": axis} if scales.shape else {}))]
		channels = ws[axis]
		if op != "MatMul" and self.chance():
			sums = (x_scale * np.broadcast_to(scales, channels)).astype(np.float32)
			bias = self.rng.integers(-5000, 5000, channels).astype(np.int32)
			inputs.append(self.dequantize(self.constant(bias), sums, np.zeros(channels, np.int32), axis=0))
		y = self.add(op, inputs, **attributes)
		self.quantize(y, self.output_scale(np.prod(ws) / channels, x_scale, scales), dtype, self.chance())

	def qdq_conv(self):
		xs, ws, attributes = self.conv_shape()
		self.qdq_weighted("Conv", xs, ws, 0, attributes)

	def qdq_gemm(self):
		m, k, n, transposed = self.integer(1, 12), self.integer(1, 40), self.integer(1, 12), self.chance()
		self.qdq_weighted("Gemm", [m, k], [n, k] if transposed else [k, n], 0 if transposed else 1,
			{"transB": int(transposed)})

	def qdq_matmul(self):
		a, b = self.matrices()
		self.qdq_weighted("MatMul", a, b, 1, {})

	# ---- steps ----

	def qdq_binary(self):
		dtype = self.dtype()
		shape = [self.integer(1, 4), self.integer(1, 8), self.integer(1, 8)]
		other = shape if self.chance(0.7) else [1, shape[1], 1]
		scales = self.scale(), self.scale()
		multiply = self.chance(0.3)
		operands = [self.dequantize(self.input(self.bytes(dtype, s)), c, self.zero(dtype)) for s, c in zip((shape, other), scales)]
		y = self.add("Mul" if multiply else "Add", operands)
		size = scales[0] * scales[1] * 100 if multiply else max(scales)
		self.quantize(y, np.float32(size * self.rng.uniform(0.5, 2.5)), dtype, self.chance(0.3))

	def qdq_pool(self):
		dtype = self.dtype()
		kernel = [self.integer(1, 3), self.integer(1, 3)]
		shape = [1, self.integer(1, 5), kernel[0] + self.integer(0, 8), kernel[1] + self.integer(0, 8)]
		# A power of two: float sums are exact in any order.  With other scales a sum that lies between two steps goes where
		# the order of the additions takes it, in ONNX Runtime too, and ONNX defines none.
		scale, zero = np.float32(2.0 ** self.integer(-7, -1)), self.zero(dtype)
		x = self.dequantize(self.input(self.bytes(dtype, shape)), scale, zero)
		attributes = {"kernel_shape": kernel, "strides": [self.integer(1, 2), self.integer(1, 2)]}
		if self.chance():
			y = self.add("MaxPool", [x], **attributes)
		else:
			y = self.add("AveragePool", [x], **attributes)
		out = self.add("QuantizeLinear", [y, self.constant(np.array(scale)), self.constant(zero)])
		self.output(out, TensorProto.UINT8 if dtype == np.uint8 else TensorProto.INT8)


KINDS = {
	"sums": [Cases.qlinear_conv, Cases.qlinear_matmul, Cases.conv_integer, Cases.matmul_integer, Cases.qdq_conv,
		Cases.qdq_gemm, Cases.qdq_matmul],
	"steps": [Cases.qdq_binary, Cases.qdq_pool],
}


def main():
	parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
	parser.add_argument("--out", required=True)
	parser.add_argument("--seed", type=int, default=1)
	parser.add_argument("--cases", type=int, default=100)
	parser.add_argument("--kind", choices=sorted(KINDS), default="sums")
	args = parser.parse_args()

	cases = Cases(args.seed)
	for i in range(args.cases):
		KINDS[args.kind][i % len(KINDS[args.kind])](cases)
	graph = helper.make_graph(cases.nodes, "cases", cases.inputs, cases.outputs, cases.constants)
	model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
	model.ir_version = 7
	model = shape_inference.infer_shapes(model, strict_mode=True)
	checker.check_model(model)
	os.makedirs(os.path.join(args.out, "inputs"), exist_ok=True)
	save(model, os.path.join(args.out, "model.onnx"))
	for i, (name, array) in enumerate(cases.data):
		with open(os.path.join(args.out, "inputs", f"input_{i}.pb"), "wb") as f:
			f.write(numpy_helper.from_array(array, name).SerializeToString())


if __name__ == "__main__":
	main()
