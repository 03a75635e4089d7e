/* SPDX-License-Identifier: MIT */
/*
 * An ensemble of decision trees in the form in which it is walked: nodes in the order of a depth-first visit, 16 or 24
 * bytes each, leaves with their votes side by side.
 *
 * Built once from the attributes of ai.onnx.ml TreeEnsembleClassifier, TreeEnsembleRegressor (versions 1 and 3, ml_tree.c
 * calls them the list form) or TreeEnsemble (version 5). Afterwards it is read only: any number of threads may walk it.
 */
#ifndef RUNTIME_CPU_ML_ENSEMBLE_H
#define RUNTIME_CPU_ML_ENSEMBLE_H

#include "runtime/cpu/op.h"

/* The numbers are those of TreeEnsemble's nodes_modes (version 5). */
enum branch_mode {
	BRANCH_LEQ,
	BRANCH_LT,
	BRANCH_GTE,
	BRANCH_GT,
	BRANCH_EQ,
	BRANCH_NEQ,
	BRANCH_MEMBER,
	BRANCH_LEAF,
};

/* The numbers are those of TreeEnsemble's aggregate_function. */
enum aggregate { AGGREGATE_AVERAGE, AGGREGATE_SUM, AGGREGATE_MIN, AGGREGATE_MAX };

/* struct ensemble_vote - what a leaf gives to a target */
struct ensemble_vote {
	uint32_t target;
	double weight;
};

/*
 * A node. @feature: which one is compared, and above it the mode and whether NaN takes the yes branch.
 * Of a leaf, @yes is its first vote and @no how many there are; of a set membership, @value is the set's index.
 */
#define ENSEMBLE_NODE(T)          \
	{                         \
		T value;          \
		uint32_t feature; \
		uint32_t yes;     \
		uint32_t no;      \
	}
struct ensemble_node_f32 ENSEMBLE_NODE(float);
struct ensemble_node_f64 ENSEMBLE_NODE(double);

#define ENSEMBLE_MODE_SHIFT 28
#define ENSEMBLE_MISSING_YES (1u << 27)
#define ENSEMBLE_FEATURE_MASK (ENSEMBLE_MISSING_YES - 1)

/* struct ensemble_set - members of a set, ascending */
struct ensemble_set {
	double *members;
	size_t count;
};

/*
 * struct ensemble
 * @wide:     thresholds are doubles: nodes_f64 counts, else nodes_f32
 * @uniform:  every branch compares in this mode; BRANCH_LEAF: they differ
 * @roots:    node index by tree
 * @features: one more than the largest feature that a node reads
 */
struct ensemble {
	bool wide;
	enum branch_mode uniform;
	size_t num_nodes, num_trees, num_votes, num_sets;
	struct ensemble_node_f32 *nodes_f32;
	struct ensemble_node_f64 *nodes_f64;
	uint32_t *roots;
	struct ensemble_vote *votes;
	struct ensemble_set *sets;
	int64_t features, num_targets;
	enum aggregate aggregate;
};

/*
 * struct ensemble_source_node - what a builder says of a node, known by its place in an array
 * @mode:      BRANCH_LEAF for a leaf, which has @leaf_count votes from @leaf_first on and nothing else
 * @yes, @no:  places of the children
 * @set:       of a BRANCH_MEMBER node, in the ensemble's sets
 * @tree_id, @node_id: what the model calls it, for messages
 */
struct ensemble_source_node {
	enum branch_mode mode;
	bool missing_yes;
	int64_t feature;
	double value;
	size_t yes, no;
	size_t leaf_first, leaf_count;
	size_t set;
	int64_t tree_id, node_id;
};

/*
 * Lay the trees out: depth first from each of @roots. Consumes nothing of @nodes. @ensemble holds votes, sets and targets
 * already; nodes and roots are added. A node may be reached twice (set membership as a chain of equalities shares its
 * target) but not from below itself.
 * -EINVAL (a cycle, a feature out of range; @error says where), -ENOMEM.
 */
int ensemble_lay_out(struct ensemble *ensemble, const struct ensemble_source_node *nodes, size_t num_nodes,
		     const size_t *roots, size_t num_roots, char *error, size_t error_size);

void ensemble_finish(struct ensemble *ensemble);

/*
 * Add the votes of every tree for rows [0, rows) of @x, doubles or floats as @wide says, @stride apart, to @sums
 * [rows][num_targets], which start at zero, and @voted, which may be NULL: set where a target has had a vote.
 */
void ensemble_walk(const struct ensemble *ensemble, const void *x, int64_t rows, int64_t stride, double *sums,
		   uint8_t *voted);

#endif
