#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write a transformer encoder of primitive ONNX operators, as torch.onnx.export decomposes one at opset 13.

    make_transformer.py [--out FILE] [--layers 2] [--hidden 64] [--heads 4] [--seq 16] [--ffn 0] [--vocab 0] [--classes 4]
                        [--dynamic] [--seed N]

Multi-head attention as MatMul, Add, Reshape, Transpose, Div, Softmax; layer normalisation as ReduceMean, Sub, Pow, ReduceMean,
Add, Sqrt, Div, Mul, Add; GELU as Div, Erf, Add, Mul, Mul; post-norm, as in BERT.
    input   tokens [B,seq] int64 below --vocab, or embeddings [B,seq,hidden] float when --vocab is 0; mask [B,seq] float,
            1 for a token to attend to and 0 for padding
    outputs hidden [B,seq,hidden] and logits [B,classes] (from the first token, after Gemm + Tanh)
B is 1, and the symbol N with --dynamic; the Reshapes then take their batch from Shape and Gather, as torch writes it.
Seeded random parameters.  Needs python3-onnx and python3-numpy.
"""
import argparse

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Encoder:
	def __init__(self, args):
		self.args = args
		self.random = np.random.Generator(np.random.PCG64(args.seed))
		self.nodes, self.initializers = [], []
		self.constants = {}
		self.parameters = 0
		self.batch = None

	def parameter(self, name, shape, mean, deviation):
		array = (mean + deviation * np.clip(self.random.standard_normal(shape), -3, 3)).astype(np.float32)
		self.initializers.append(numpy_helper.from_array(array, name))
		self.parameters += array.size
		return name

	def constant(self, array):
		array = np.asarray(array)
		key = (array.dtype.str, array.shape, array.tobytes())
		if key not in self.constants:
			name = f"constant_{len(self.constants)}"
			self.initializers.append(numpy_helper.from_array(array, name))
			self.constants[key] = name
		return self.constants[key]

	def node(self, op, name, inputs, **attributes):
		self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
		return name

	def scalar(self, number):
		return self.constant(np.float32(number))

	def reshape(self, name, x, tail):
		"""To [batch, *tail]."""
		if not self.args.dynamic:
			return self.node("Reshape", name, [x, self.constant(np.int64([1, *tail]))])
		if self.batch is None:
			shape = self.node("Shape", "shape", [self.source])
			size = self.node("Gather", "shape.batch", [shape, self.constant(np.int64(0))], axis=0)
			self.batch = self.node("Unsqueeze", "batch", [size, self.constant(np.int64([0]))])
		shape = self.node("Concat", name + ".shape", [self.batch, self.constant(np.int64(tail))], axis=0)
		return self.node("Reshape", name, [x, shape])

	def linear(self, name, x, cin, cout, gain=1.0):
		"""x W + b as MatMul and Add, which is what torch.nn.Linear becomes on a 3-D input."""
		weight = self.parameter(name + ".weight", (cin, cout), 0, gain * cin ** -.5)
		y = self.node("MatMul", name + ".matmul", [x, weight])
		return self.node("Add", name, [self.parameter(name + ".bias", (cout,), 0, 0.05), y])

	def layer_norm(self, name, x):
		hidden = self.args.hidden
		mean = self.node("ReduceMean", name + ".mean", [x], axes=[-1], keepdims=1)
		centred = self.node("Sub", name + ".sub", [x, mean])
		square = self.node("Pow", name + ".pow", [centred, self.scalar(2)])
		variance = self.node("ReduceMean", name + ".var", [square], axes=[-1], keepdims=1)
		deviation = self.node("Sqrt", name + ".sqrt", [self.node("Add", name + ".eps", [variance, self.scalar(1e-5)])])
		y = self.node("Div", name + ".div", [centred, deviation])
		y = self.node("Mul", name + ".mul", [y, self.parameter(name + ".weight", (hidden,), 1, 0.1)])
		return self.node("Add", name, [y, self.parameter(name + ".bias", (hidden,), 0, 0.1)])

	def gelu(self, name, x):
		erf = self.node("Erf", name + ".erf", [self.node("Div", name + ".div", [x, self.scalar(2 ** .5)])])
		y = self.node("Mul", name + ".mul", [x, self.node("Add", name + ".add", [erf, self.scalar(1)])])
		return self.node("Mul", name, [y, self.scalar(0.5)])

	def heads(self, name, x, perm):
		args = self.args
		y = self.linear(name, x, args.hidden, args.hidden)
		y = self.reshape(name + ".split", y, [args.seq, args.heads, args.hidden // args.heads])
		return self.node("Transpose", name + ".heads", [y], perm=perm)

	def attention(self, name, x, mask):
		args = self.args
		query = self.heads(name + ".query", x, [0, 2, 1, 3])
		key = self.heads(name + ".key", x, [0, 2, 3, 1])
		value = self.heads(name + ".value", x, [0, 2, 1, 3])
		scores = self.node("MatMul", name + ".scores", [query, key])
		scores = self.node("Div", name + ".scaled", [scores, self.scalar((args.hidden // args.heads) ** .5)])
		scores = self.node("Add", name + ".masked", [scores, mask])
		weights = self.node("Softmax", name + ".softmax", [scores], axis=-1)
		y = self.node("Transpose", name + ".merge", [self.node("MatMul", name + ".context", [weights, value])], perm=[0, 2, 1, 3])
		y = self.reshape(name + ".joined", y, [args.seq, args.hidden])
		return self.linear(name + ".output", y, args.hidden, args.hidden)

	def layer(self, name, x, mask):
		hidden, ffn = self.args.hidden, self.args.ffn
		y = self.node("Add", name + ".residual_a", [self.attention(name + ".attention", x, mask), x])
		x = self.layer_norm(name + ".norm_a", y)
		y = self.gelu(name + ".gelu", self.linear(name + ".up", x, hidden, ffn))
		y = self.node("Add", name + ".residual_b", [self.linear(name + ".down", y, ffn, hidden), x])
		return self.layer_norm(name + ".norm_b", y)

	def additive_mask(self):
		"""(1 - mask) * -10000 as [B,1,1,seq]."""
		y = self.node("Unsqueeze", "mask.expand", ["mask", self.constant(np.int64([1, 2]))])
		y = self.node("Sub", "mask.inverse", [self.scalar(1), y])
		return self.node("Mul", "mask.additive", [y, self.scalar(-10000)])

	def build(self):
		args = self.args
		self.source = "tokens" if args.vocab else "embeddings"
		x = self.source
		if args.vocab:
			x = self.node("Gather", "embed", [self.parameter("embed.weight", (args.vocab, args.hidden), 0, 1), x], axis=0)
		position = self.parameter("position.weight", (1, args.seq, args.hidden), 0, 0.3)
		x = self.layer_norm("embed.norm", self.node("Add", "embed.position", [x, position]))
		mask = self.additive_mask()
		for i in range(args.layers):
			x = self.layer(f"layer{i}", x, mask)
		self.node("Identity", "hidden", [x])
		first = self.node("Gather", "pool.first", [x, self.constant(np.int64(0))], axis=1)
		weight = self.parameter("pool.weight", (args.hidden, args.hidden), 0, args.hidden ** -.5)
		pooled = self.node("Gemm", "pool", [first, weight, self.parameter("pool.bias", (args.hidden,), 0, 0.05)], transB=1)
		pooled = self.node("Tanh", "pool.tanh", [pooled])
		weight = self.parameter("classify.weight", (args.classes, args.hidden), 0, args.hidden ** -.5)
		self.node("Gemm", "logits", [pooled, weight, self.parameter("classify.bias", (args.classes,), 0, 0.05)], transB=1)

	def model(self):
		args = self.args
		batch = "N" if args.dynamic else 1
		info = helper.make_tensor_value_info
		source = (info("tokens", TensorProto.INT64, [batch, args.seq]) if args.vocab else
			info("embeddings", TensorProto.FLOAT, [batch, args.seq, args.hidden]))
		graph = helper.make_graph(
			self.nodes, "transformer", [source, info("mask", TensorProto.FLOAT, [batch, args.seq])],
			[info("hidden", TensorProto.FLOAT, [batch, args.seq, args.hidden]),
			 info("logits", TensorProto.FLOAT, [batch, args.classes])], self.initializers)
		return helper.make_model(graph, producer_name="axl", ir_version=7, opset_imports=[helper.make_opsetid("", 13)])


def main():
	parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
	parser.add_argument("--out", default="transformer.onnx")
	for name, value in (("layers", 2), ("hidden", 64), ("heads", 4), ("seq", 16), ("ffn", 0), ("vocab", 0), ("classes", 4), ("seed", 1)):
		parser.add_argument("--" + name, type=int, default=value)
	parser.add_argument("--dynamic", action="store_true")
	args = parser.parse_args()
	args.ffn = args.ffn or 4 * args.hidden
	if args.hidden % args.heads:
		parser.error("--hidden must be a multiple of --heads")

	encoder = Encoder(args)
	encoder.build()
	model = encoder.model()
	onnx.checker.check_model(model, full_check=True)
	onnx.save(model, args.out)
	print(f"{args.out}: {len(encoder.nodes)} nodes, {encoder.parameters} parameters")


if __name__ == "__main__":
	main()
