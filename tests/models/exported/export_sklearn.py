#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Classifiers of the iris data in ai.onnx.ml form, as scikit-learn's exporter skl2onnx writes them.

    iris_linear   StandardScaler and LogisticRegression: Scaler, LinearClassifier, Normalizer, ZipMap; labels are class names
    iris_forest   RandomForestClassifier: TreeEnsembleClassifier, ZipMap
    iris_svc      SVC with probabilities: SVMClassifier, ZipMap

Each goes to NAME/model.onnx beside this script, with one data set: held-back flowers, scikit-learn's labels and its
probabilities, the latter as a sequence of maps from class name to probability. iris.npy holds the same flowers for the command line.
Debian: python3-sklearn python3-onnx (skl2onnx itself is not packaged).
"""
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

ML = "ai.onnx.ml"


def floats(array):
    return [float(value) for value in np.ravel(array)]


def ints(array):
    return [int(value) for value in np.ravel(array)]


def linear(x, y, names):
    scaler = StandardScaler().fit(x)
    model = LogisticRegression(max_iter=500).fit(scaler.transform(x), y)
    nodes = [
        helper.make_node("Scaler", ["flowers"], ["scaled"], domain=ML, offset=floats(scaler.mean_),
                         scale=floats(1 / scaler.scale_)),
        helper.make_node("LinearClassifier", ["scaled"], ["label", "raw"], domain=ML, classlabels_strings=names,
                         coefficients=floats(model.coef_), intercepts=floats(model.intercept_), multi_class=1,
                         post_transform="SOFTMAX"),
        helper.make_node("Normalizer", ["raw"], ["scores"], domain=ML, norm="L1"),
    ]
    return nodes, lambda flowers: model.predict_proba(scaler.transform(flowers))


def forest(x, y, names):
    model = RandomForestClassifier(n_estimators=12, max_depth=4, random_state=3).fit(x, y)
    nodes = {key: [] for key in ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids")}
    votes = {key: [] for key in ("treeids", "nodeids", "ids", "weights")}
    for index, estimator in enumerate(model.estimators_):
        tree = estimator.tree_
        for node in range(tree.node_count):
            leaf = tree.children_left[node] < 0
            # scikit-learn compares in float32: a threshold rounded up could let a value pass that it stops.
            threshold = np.float32(tree.threshold[node])
            if threshold > tree.threshold[node]:
                threshold = np.nextafter(threshold, np.float32(-np.inf))
            for key, value in (("treeids", index), ("nodeids", node), ("featureids", 0 if leaf else int(tree.feature[node])),
                               ("modes", "LEAF" if leaf else "BRANCH_LEQ"), ("values", 0.0 if leaf else float(threshold)),
                               ("truenodeids", 0 if leaf else int(tree.children_left[node])),
                               ("falsenodeids", 0 if leaf else int(tree.children_right[node]))):
                nodes[key].append(value)
            if leaf:
                share = tree.value[node][0] / tree.value[node][0].sum() / len(model.estimators_)
                for target, weight in enumerate(share):
                    for key, value in (("treeids", index), ("nodeids", node), ("ids", target), ("weights", float(weight))):
                        votes[key].append(value)
    attributes = {f"nodes_{key}": value for key, value in nodes.items()}
    attributes.update({f"class_{key}": value for key, value in votes.items()})
    node = helper.make_node("TreeEnsembleClassifier", ["flowers"], ["label", "scores"], domain=ML,
                            classlabels_strings=names, post_transform="NONE", **attributes)
    return [node], model.predict_proba


def svc(x, y, names):
    model = SVC(probability=True, random_state=1).fit(x, y)
    # _dual_coef_, _intercept_ and the probabilities' A and B are libsvm's own, with its signs.
    node = helper.make_node("SVMClassifier", ["flowers"], ["label", "scores"], domain=ML, classlabels_strings=names,
                            kernel_type="RBF", kernel_params=[float(model._gamma), 0.0, 3.0],
                            support_vectors=floats(model.support_vectors_), vectors_per_class=ints(model.n_support_),
                            coefficients=floats(model._dual_coef_), rho=floats(model._intercept_),
                            prob_a=floats(model.probA_), prob_b=floats(model.probB_), post_transform="NONE")
    return [node], model.predict_proba


def maps_proto(name, names, rows):
    """A sequence of maps, one a flower."""
    sequence = onnx.SequenceProto(name=name, elem_type=onnx.SequenceProto.MAP)
    for row in rows:
        entry = sequence.map_values.add()
        entry.key_type = TensorProto.STRING
        entry.string_keys.extend(key.encode() for key in names)
        entry.values.elem_type = onnx.SequenceProto.TENSOR
        for value in row:
            entry.values.tensor_values.append(numpy_helper.from_array(np.float32(value)))
    return sequence


def write(folder, nodes, predict, flowers, names):
    probabilities = predict(flowers).astype(np.float32)
    nodes = nodes + [helper.make_node("ZipMap", ["scores"], ["probabilities"], domain=ML, classlabels_strings=names)]
    kind = onnx.ValueInfoProto(name="probabilities")
    kind.type.sequence_type.elem_type.map_type.key_type = TensorProto.STRING
    kind.type.sequence_type.elem_type.map_type.value_type.tensor_type.elem_type = TensorProto.FLOAT
    graph = helper.make_graph(nodes, "iris", [helper.make_tensor_value_info("flowers", TensorProto.FLOAT, ["N", 4])],
                              [helper.make_tensor_value_info("label", TensorProto.STRING, ["N"]), kind])
    model = helper.make_model(graph, producer_name="export_sklearn.py",
                              opset_imports=[helper.make_opsetid("", 15), helper.make_opsetid(ML, 3)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    data = folder / "test_data_set_0"
    data.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    labels = np.array([names[i] for i in probabilities.argmax(axis=1)], dtype=object)
    (data / "input_0.pb").write_bytes(numpy_helper.from_array(flowers, "flowers").SerializeToString())
    (data / "output_0.pb").write_bytes(numpy_helper.from_array(labels, "label").SerializeToString())
    (data / "output_1.pb").write_bytes(maps_proto("probabilities", names, probabilities).SerializeToString())


def main():
    here = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    here = here if here.is_dir() else here.parent
    iris = load_iris()
    names = [str(name) for name in iris.target_names]
    x, held_back, y, _ = train_test_split(iris.data.astype(np.float32), iris.target, test_size=12, random_state=4,
                                          stratify=iris.target)
    np.save(here / "iris.npy", held_back[:3])
    for name, make in (("iris_linear", linear), ("iris_forest", forest), ("iris_svc", svc)):
        nodes, predict = make(x, y, names)
        write(here / name, nodes, predict, held_back, names)


if __name__ == "__main__":
    main()
