/* SPDX-License-Identifier: MIT */
/* One table of options: parsing and help come from it. */
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <errno.h>

#include <accel/runtime.h>

#include "compiler/pass.h"
#include "runtime/cli/colour.h"
#include "runtime/cli/command.h"

/* @letter: what a subcommand names to accept the option; @values: all that @argument may be, NULL where that is no list */
static const struct {
	char letter;
	const char *name, *argument, *help, *values;
} table[] = {
	{'d', "device", "NAME",
	 "sim: (default), sim:OPTION=VALUE,…, cpu, /dev/accel/accelN, or pci:DDDD:BB:DD.F ('accel info' lists them); "
	 "several of "
	 "one target with commas between: each request goes to the one that has the least to do"},
	{'p', "precision", "P", "fp32 (default), fp16, bf16 or int8: how the device holds floats",
	 "fp32 fp16 bf16 int8"},
	{'t', "target", "NAME", "axl-edge (default) or axl-pro", "axl-edge axl-pro"},
	{'i', "input", "NAME=FILE", "an input from .npy, .pb (TensorProto) or .raw; may be repeated"},
	{'D', "data-set", "DIR", "folder with input_N.pb and output_N.pb; all outputs are compared"},
	{'S', "save", "DIR", "write the outputs of the run to DIR/output_N.npy"},
	{'r', "rtol", "R", "relative tolerance of the comparison (default 1e-3)"},
	{'a', "atol", "A", "absolute tolerance of the comparison (default 1e-5)"},
	{'x', "samples", "FILE", ".npy with one sample a row, for a model with one input"},
	{'y', "labels", "FILE", ".npy with the class of each sample; prints the accuracy"},
	{'n', "threads", "N", "threads of the CPU backend and of the in-process device (default: all processors)"},
	{'R', "repeat", "N", "run N times"},
	{'J', "jobs", "N", "then so many times with N requests under way at a time, 1 to 32: the throughput"},
	{'F', "on-fault", "WHAT", "when the device fails: report (default), retry on the device, or do it on the cpu",
	 "report retry cpu"},
	{'s', "seed", "N", "seed of the inputs that are not given (default 1)"},
	{'m', "dim", "NAME=N", "size of a symbolic dimension (default 1); may be repeated"},
	{'c', "calibration", "DIR",
	 "samples for int8: test_data_set_N/input_I.pb, input_I.pb, or .npy (also a file) with a sample a row"},
	{'M', "method", "M",
	 "ranges from the samples: minmax (default), percentile (99.99 %), entropy (least divergence), mse (least "
	 "error)",
	 "minmax percentile entropy mse"},
	{'T', "target-loss", "X",
	 "keep the noisiest layers float until the relative error of the outputs (root of noise over signal) is at "
	 "most X"},
	{'B', "activations", "TYPE", "uint8 (default) or int8", "uint8 int8"},
	{'E', "plain", NULL, "no equalization of channels, no correction of biases"},
	{'j', "json", "FILE", "write all of it as JSON; '-': to the standard output, in the place of the text"},
	{'P', "profile", "FILE",
	 "write a trace of the run for Perfetto or chrome://tracing, or a page on where its cycles went (.html)"},
	{'o', "output", "FILE", "where to write"},
	{'G', "report", "FILE",
	 "run the package on the model of its target and write where the cycles go: JSON, or a page (.html)"},
	{'f', "format", "F", "dot, mermaid or svg (default: by the output's name, else svg)", "dot mermaid svg"},
	{'A', "print-after", "STAGE",
	 "print what a compiler stage made: import, graph, quantize, fuse, partition, lower, schedule",
	 "import graph quantize fuse partition lower schedule"},
	{'z', "disable", "PASS", "leave out a pass of the compiler; may be repeated, or several separated by commas:"},
	{'e', "explain", NULL, "say for every region, and every node on the CPU, why; info: list the operators"},
	{'l', "rules", NULL, "list the rules, and where the standard has them"},
	{'w', "operators", NULL, "list the operators: where they run, in which versions, with which types"},
	{'O', "root", "DIR", "look for PCI devices in DIR/sys and DIR/dev (a container's view of its host)"},
	{'K', "cache", "DIR",
	 "keep compiled packages in DIR (default: $ACCEL_CACHE, else $XDG_CACHE_HOME/accel, else ~/.cache/accel)"},
	{'N', "no-cache", NULL, "compile, and keep nothing"},
	{'C', "clear", NULL, "remove all packages"},
	{'v', "verbose", NULL, "say what was compiled and what came from the cache"},
	{'L', "listen", "HOST:PORT", "where to serve (default 127.0.0.1:8000); port 0: one that is free"},
	{'X', "max-requests", "N", "inference requests at a time, further ones are answered with 503 (default 32)"},
	{'b', "batch", "N[:US]",
	 "join requests that wait into runs of up to N rows, 2 to 64; each waits up to US microseconds (default 0) for "
	 "others"},
	{'Y', "max-body", "MIB", "size of a request's body in MiB (default 64)"},
	{'1', "once", NULL, "print what there is, and end"},
	{'q', "quiet", NULL, "print nothing but errors"},
	{'h', "help", NULL, "this text"},
};

enum { TABLE_SIZE = sizeof(table) / sizeof(table[0]) };

int complain(int code, const char *format, ...)
{
	va_list args;

	/* Over a line of progress, where there is one. */
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	fprintf(stderr, "%saccel:%s ", code ? colour(stderr, COLOUR_BAD) : "", code ? colour(stderr, COLOUR_NONE) : "");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return code;
}

int exit_code(int err)
{
	switch (err) {
	case 0:
		return EXIT_GOOD;
	case -ENOTSUP:
		return EXIT_UNSUPPORTED;
	case -EIO:
	case -ENODEV:
	case -ETIMEDOUT:
		return EXIT_DEVICE;
	default:
		return EXIT_USAGE;
	}
}

/* What a subcommand works on; NULL: nothing. */
static const char *operand_of(const char *name)
{
	if (!strcmp(name, "info") || !strcmp(name, "cache") || !strcmp(name, "top"))
		return NULL;
	return strcmp(name, "replay") ? "model" : "file";
}

static void print_help(const char *name, const char *summary, const char *accepted)
{
	const char *operand = operand_of(name);

	printf("Usage: accel %s [OPTION…]%s%s%s\n%s\n\n", name, strchr(accepted, '3') ? " A B" : "",
	       !operand                   ? ""
	       : !strcmp(operand, "file") ? " FILE"
					  : " MODEL",
	       strchr(accepted, '+') ? "…" : "", summary);
	for (int i = 0; i < TABLE_SIZE; i++) {
		char left[48];

		if (table[i].letter != 'h' && !strchr(accepted, table[i].letter))
			continue;
		snprintf(left, sizeof(left), "--%s%s%s", table[i].name, table[i].argument ? " " : "",
			 table[i].argument ? table[i].argument : "");
		printf("  %-22s %s\n", left, table[i].help);
		for (size_t pass = 0; table[i].letter == 'z' && compile_pass_name(pass); pass++)
			printf("  %-22s   %-14s %s\n", "", compile_pass_name(pass), compile_pass_text(pass));
	}
}

/*
 * The same for programs: the manual and the completion of shells are made of it (runtime/manual). A line a fact, its parts separated by
 * tabs: "command" NAME OPERAND SENTENCE, "option" NAME ARGUMENT VALUES HELP, "pass" NAME TEXT; "-" is nothing.
 */
static void print_description(const char *name, const char *summary, const char *accepted)
{
	const char *operand = operand_of(name);

	printf("command\t%s\t%s%s%s\t", name, strchr(accepted, '3') ? "A B " : "",
	       !operand                   ? "-"
	       : !strcmp(operand, "file") ? "FILE"
					  : "MODEL",
	       operand && strchr(accepted, '+') ? "…" : "");
	for (; *summary; summary++)
		putchar(*summary == '\n' ? ' ' : *summary);
	putchar('\n');
	for (int i = 0; i < TABLE_SIZE; i++) {
		if (table[i].letter != 'h' && !strchr(accepted, table[i].letter))
			continue;
		printf("option\t%s\t%s\t%s\t%s\n", table[i].name, table[i].argument ? table[i].argument : "-",
		       table[i].values ? table[i].values : "-", table[i].help);
		for (size_t pass = 0; table[i].letter == 'z' && compile_pass_name(pass); pass++)
			printf("pass\t%s\t%s\n", compile_pass_name(pass), compile_pass_text(pass));
	}
}

static bool parse_unsigned(const char *text, uint64_t most, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	return !errno && end != text && !*end && *text != '-' && *value <= most;
}

/* ROWS[:MICROSECONDS] */
static bool parse_batch(const char *text, struct options *options)
{
	size_t length = strcspn(text, ":");
	uint64_t rows, wait = 0;
	char number[16];

	if (length >= sizeof(number))
		return false;
	memcpy(number, text, length);
	number[length] = '\0';
	if (!parse_unsigned(number, ACCEL_MAX_BATCH, &rows) || rows < 2 ||
	    (text[length] && !parse_unsigned(text + length + 1, 10000000, &wait)))
		return false;
	options->batch = (unsigned int)rows;
	options->batch_wait_us = (unsigned int)wait;
	return true;
}

static bool parse_positive(const char *text, double *value)
{
	char *end;

	*value = strtod(text, &end);
	return end != text && !*end && *value >= 0;
}

static bool store(struct options *options, char letter, const char *text)
{
	const char **texts[] = {
		['d'] = &options->device,      ['p'] = &options->precision,   ['t'] = &options->target,
		['D'] = &options->data_set,    ['x'] = &options->samples,     ['y'] = &options->labels,
		['c'] = &options->calibration, ['j'] = &options->json,        ['P'] = &options->profile,
		['S'] = &options->save,        ['o'] = &options->output,      ['f'] = &options->format,
		['M'] = &options->method,      ['B'] = &options->activations, ['A'] = &options->print_after,
		['O'] = &options->root,        ['G'] = &options->report,      ['K'] = &options->cache,
		['L'] = &options->listen,      ['F'] = &options->on_fault};
	uint64_t number = 0;
	bool ok = true;

	switch (letter) {
	case 'i':
		ok = options->num_inputs < sizeof(options->inputs) / sizeof(options->inputs[0]) && strchr(text, '=');
		if (ok)
			options->inputs[options->num_inputs++] = text;
		return ok;
	case 'm':
		ok = options->num_dims < sizeof(options->dims) / sizeof(options->dims[0]) && strchr(text, '=');
		if (ok)
			options->dims[options->num_dims++] = text;
		return ok;
	case 'z':
		if (strlen(options->disable) + strlen(text) + 2 > sizeof(options->disable))
			return false;
		strcat(options->disable, *options->disable ? "," : "");
		strcat(options->disable, text);
		return true;
	case 'r':
		return parse_positive(text, &options->rtol);
	case 'a':
		return parse_positive(text, &options->atol);
	case 'T':
		return parse_positive(text, &options->target_loss) && options->target_loss > 0;
	case 'E':
		options->plain = true;
		return true;
	case 'n':
		ok = parse_unsigned(text, 1024, &number) && number > 0;
		options->threads = (unsigned int)number;
		return ok;
	case 'R':
		ok = parse_unsigned(text, 1000000000, &number) && number > 0;
		options->repeat = (unsigned int)number;
		return ok;
	case 'X':
		ok = parse_unsigned(text, 4096, &number) && number > 0;
		options->max_requests = (unsigned int)number;
		return ok;
	case 'Y':
		ok = parse_unsigned(text, 16384, &number) && number > 0;
		options->max_body = (unsigned int)number;
		return ok;
	case 'J':
		ok = parse_unsigned(text, ACCEL_MAX_DEPTH, &number) && number > 0;
		options->jobs = (unsigned int)number;
		return ok;
	case 'b':
		return parse_batch(text, options);
	case 's':
		return parse_unsigned(text, UINT64_MAX, &options->seed);
	case 'e':
		options->explain = true;
		return true;
	case 'l':
		options->rules = true;
		return true;
	case 'w':
		options->operators = true;
		return true;
	case 'N':
		options->cache = "off";
		return true;
	case 'C':
		options->clear = true;
		return true;
	case 'v':
		options->verbose = true;
		return true;
	case '1':
		options->once = true;
		return true;
	case 'q':
		options->quiet = true;
		return true;
	case 'h':
		options->help = true;
		return true;
	default:
		*texts[(int)letter] = text;
		return true;
	}
}

/* What is not an option: the model is the last of three, else the first. 0, or -1 after a complaint. */
static int take_operands(int argc, char **argv, const char *name, const char *accepted, struct options *options)
{
	bool several = strchr(accepted, '+'), three = strchr(accepted, '3');
	size_t most = several ? sizeof(options->operands) / sizeof(options->operands[0]) : three ? 3 : 1;
	const char *what = operand_of(name) ? operand_of(name) : "thing";

	while (optind < argc && options->num_operands < most)
		options->operands[options->num_operands++] = argv[optind++];
	options->model = options->operands[three ? 2 : 0];
	if (optind < argc) {
		if (most == 1)
			complain(0, "%s: one %s at a time, '%s' is too much", name, what, argv[optind]);
		else
			complain(0, "%s: at most %zu operands, '%s' is too much", name, most, argv[optind]);
		return -1;
	}
	if (!options->model && operand_of(name) && !options->rules) {
		complain(0, "%s: which %s? Try 'accel %s --help'", name, what, name);
		return -1;
	}
	return 0;
}

int options_parse(int argc, char **argv, const char *name, const char *summary, const char *accepted,
		  struct options *options)
{
	struct option longs[TABLE_SIZE + 1] = {0};
	int count = 0, at;

	*options = (struct options){.device = "sim:",
				    .precision = "fp32",
				    .target = "axl-edge",
				    .activations = "uint8",
				    .rtol = 1e-3,
				    .atol = 1e-5,
				    .on_fault = "report",
				    .repeat = 1,
				    .max_requests = 32,
				    .max_body = 64,
				    .seed = 1};
	for (int i = 0; i < TABLE_SIZE; i++)
		if (table[i].letter == 'h' || strchr(accepted, table[i].letter))
			longs[count++] =
				(struct option){table[i].name, table[i].argument ? required_argument : no_argument,
						NULL, table[i].letter};
	if (argc == 2 && !strcmp(argv[1], "--describe")) {
		print_description(name, summary, accepted);
		options->help = true;
		return 0;
	}
	optind = 1;
	while ((at = getopt_long(argc, argv, strchr(accepted, 'o') ? "o:" : "", longs, NULL)) != -1) {
		if (at == '?')
			return -1;
		if (!store(options, (char)at, optarg)) {
			for (int i = 0; i < TABLE_SIZE; i++)
				if (table[i].letter == at)
					complain(0, "--%s: '%s' is not a valid %s", table[i].name, optarg,
						 table[i].argument);
			return -1;
		}
	}
	if (options->help) {
		print_help(name, summary, accepted);
		return 0;
	}
	/* On the standard output there is nothing but the JSON, which has all of the rest. */
	if (options->json && !strcmp(options->json, "-")) {
		options->quiet = true;
		options->explain = false;
	}
	return take_operands(argc, argv, name, accepted, options);
}
