/* SPDX-License-Identifier: MIT */
/*
 * The `accel` command: one function a subcommand, one exit code convention.
 */
#ifndef RUNTIME_CLI_COMMAND_H
#define RUNTIME_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Exit codes of every subcommand. */
enum {
	EXIT_GOOD = 0,
	EXIT_DIFFERS = 1,     /* outputs are not what was expected */
	EXIT_USAGE = 2,       /* bad usage, bad file or bad model */
	EXIT_UNSUPPORTED = 3, /* a good model that nothing here can run */
	EXIT_DEVICE = 4,      /* the device failed */
};

/* The exit code that a negative errno of the libraries stands for. */
int exit_code(int err);

/* "accel: " and the text, to standard error; returns @code. */
int complain(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Options that several subcommands share; --help is made from the table in options.c.
 */
struct options {
	const char *model;        /* the first operand */
	const char *operands[32]; /* of subcommands that take several, all of them */
	size_t num_operands;
	const char *listen;
	const char *device;
	const char *precision;
	const char *target;
	const char *output;
	const char *report;
	const char *format;
	const char *data_set;
	const char *calibration, *method, *activations;
	const char *samples, *labels;
	const char *json, *profile, *save;
	const char *print_after;
	const char *root;
	const char *cache; /* as accel_session_options.cache */
	char disable[256];
	const char *inputs[64];
	size_t num_inputs;
	const char *dims[16];
	size_t num_dims;
	double rtol, atol, target_loss;
	unsigned int threads;
	unsigned int repeat, jobs;
	const char *on_fault;
	unsigned int max_requests, max_body; /* MiB */
	unsigned int batch, batch_wait_us;
	uint64_t seed;
	bool plain, explain, rules, operators, clear, verbose, once, quiet, help;
};

/*
 * Parse @argv for subcommand @name, which understands the letters of @accepted (see options.c; '+': several operands; '3': two and
 * the model). 0, or -1
 * after a complaint; with
 * --help it prints the help and sets options->help.
 */
int options_parse(int argc, char **argv, const char *name, const char *summary, const char *accepted,
		  struct options *options);

int command_run(int argc, char **argv);
int command_compile(int argc, char **argv);
int command_check(int argc, char **argv);
int command_disasm(int argc, char **argv);
int command_graph(int argc, char **argv);
int command_info(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_quantize(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_cache(int argc, char **argv);
int command_serve(int argc, char **argv);
int command_compare(int argc, char **argv);
int command_top(int argc, char **argv);

#endif
