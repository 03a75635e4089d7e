#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write a stack of LSTM layers with a linear head, as torch.onnx.export writes torch.nn.LSTM at opset 14.

    make_lstm.py [--out FILE] [--layers 2] [--input 128] [--hidden 256] [--seq 64] [--batch 1] [--classes 10]
                 [--bidirectional] [--seed N]

    input   x [seq,batch,input] float
    outputs y [seq,batch,directions*hidden], logits [batch,classes] from the last step
Between layers the directions are joined by Transpose and Reshape, or Squeeze when there is one.  Seeded random parameters.
Needs python3-onnx and python3-numpy.
"""
import argparse

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def build(args):
	random = np.random.Generator(np.random.PCG64(args.seed))
	directions = 2 if args.bidirectional else 1
	nodes, initializers = [], []

	def constant(name, array):
		initializers.append(numpy_helper.from_array(array, name))
		return name

	def parameter(name, shape):
		bound = 1 / np.sqrt(args.hidden)
		return constant(name, random.uniform(-bound, bound, shape).astype(np.float32))

	axis = constant("axis", np.int64([1]))
	shape = constant("joined", np.int64([args.seq, args.batch, directions * args.hidden]))
	value, width = "x", args.input
	for layer in range(args.layers):
		name = f"lstm{layer}"
		inputs = [value, parameter(name + ".w", (directions, 4 * args.hidden, width)),
			  parameter(name + ".r", (directions, 4 * args.hidden, args.hidden)),
			  parameter(name + ".b", (directions, 8 * args.hidden))]
		nodes.append(helper.make_node("LSTM", inputs, [name + ".y"], name=name, hidden_size=args.hidden,
					      direction="bidirectional" if args.bidirectional else "forward"))
		value = "y" if layer + 1 == args.layers else name + ".joined"
		if args.bidirectional:
			nodes.append(helper.make_node("Transpose", [name + ".y"], [name + ".t"], perm=[0, 2, 1, 3]))
			nodes.append(helper.make_node("Reshape", [name + ".t", shape], [value]))
		else:
			nodes.append(helper.make_node("Squeeze", [name + ".y", axis], [value]))
		width = directions * args.hidden
	last = constant("last", np.int64(args.seq - 1))
	nodes.append(helper.make_node("Gather", ["y", last], ["step"], axis=0))
	head = [parameter("head.weight", (args.classes, width)), parameter("head.bias", (args.classes,))]
	nodes.append(helper.make_node("Gemm", ["step", *head], ["logits"], transB=1))

	def info(name, dims):
		return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)

	graph = helper.make_graph(nodes, "lstm", [info("x", [args.seq, args.batch, args.input])],
				  [info("y", [args.seq, args.batch, width]), info("logits", [args.batch, args.classes])],
				  initializers)
	return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=7)


def main():
	parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
	parser.add_argument("--out", default="lstm.onnx")
	for name, value in {"layers": 2, "input": 128, "hidden": 256, "seq": 64, "batch": 1, "classes": 10, "seed": 1}.items():
		parser.add_argument("--" + name, type=int, default=value)
	parser.add_argument("--bidirectional", action="store_true")
	args = parser.parse_args()
	model = build(args)
	onnx.checker.check_model(model)
	onnx.save(model, args.out)


if __name__ == "__main__":
	main()
