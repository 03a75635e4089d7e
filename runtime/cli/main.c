/* SPDX-License-Identifier: MIT */
/* Entry point of `accel`: finds the subcommand. */
#include <string.h>

#include "runtime/cli/command.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
	{"run", command_run, "run a model, compare its outputs, show where the time went"},
	{"compile", command_compile, "compile an ONNX model to an .axm package"},
	{"quantize", command_quantize, "quantize a float model to 8 bits and write it as ONNX"},
	{"check", command_check, "check a model and say what is wrong with it and where"},
	{"disasm", command_disasm, "print the command buffers of a package or model"},
	{"graph", command_graph, "draw a compiled model"},
	{"top", command_top, "watch devices, queues and the processes that use them"},
	{"info", command_info, "show devices, targets and operators"},
	{"bench", command_bench, "measure how long a model takes"},
	{"cache", command_cache, "list what was compiled and kept, or remove it"},
	{"compare", command_compare, "run a model in two ways and find the first layer that differs"},
	{"serve", command_serve, "serve models over HTTP by the Open Inference Protocol"},
	{"replay", command_replay, "run what faulted in a driver's core dump again, on the in-process device"},
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void usage(FILE *out)
{
	fputs("Usage: accel COMMAND [OPTION…] MODEL\n\n", out);
	for (int i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fputs("\n'accel COMMAND --help' lists a command's options.\n"
	      "Exit codes: 0 good, 1 outputs differ, 2 bad usage or bad model, 3 not supported, 4 device failure.\n",
	      out);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return EXIT_GOOD;
	}
	if (!strcmp(argv[1], "--describe")) {
		for (int i = 0; i < COMMANDS; i++)
			printf("%s\t%s\n", commands[i].name, commands[i].summary);
		return EXIT_GOOD;
	}
	for (int i = 0; i < COMMANDS; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	complain(0, "no command '%s'", argv[1]);
	usage(stderr);
	return EXIT_USAGE;
}
