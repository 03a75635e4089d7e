// SPDX-License-Identifier: MIT
/*
 * RegexFullMatch: does a regular expression of RE2's syntax match whole strings?
 *
 * PCRE2 does the matching, with its breadth-first matcher, which takes time linear in the text like RE2's own. RE2's
 * syntax is nearly a part of PCRE2's; check_syntax() refuses what is not (backreferences, assertions that look around,
 * possessive quantifiers …) by name, so that a pattern means here what it means to RE2 or does not compile
 * (https://github.com/google/re2/wiki/Syntax).
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <errno.h>
#include <inttypes.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/families.h"

#define WORKSPACE_START 256
#define WORKSPACE_LIMIT ((size_t)1 << 22)
/* What RE2 allows in x{n}. */
#define MAX_REPEAT 1000

/* ---- RE2's syntax ---- */

/*
 * struct pattern - a pattern while it is checked and written anew
 * @out: the pattern for PCRE2; at most three bytes for each one of the text (\v becomes \x0b)
 */
struct pattern {
	const char *text;
	size_t size, at;
	char *out;
	size_t out_size;
	char *error;
};

static int refuse(const struct pattern *p, const char *what)
{
	snprintf(p->error, OP_ERROR_SIZE, "RegexFullMatch: attribute pattern: %s at character %zu is no RE2 syntax",
		 what, p->at);
	return -EINVAL;
}

static void pass(struct pattern *p, size_t count)
{
	memcpy(p->out + p->out_size, p->text + p->at, count);
	p->out_size += count;
	p->at += count;
}

static char peek(const struct pattern *p, size_t ahead)
{
	return p->at + ahead < p->size ? p->text[p->at + ahead] : '\0';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A backslash and what follows; @in_class inside of brackets. */
static int check_escape(struct pattern *p, bool in_class)
{
	const char *letters = in_class ? "afnrtxdDsSwWpP" : "afnrtxdDsSwWpPAbBzQE";
	char c = peek(p, 1);

	if (p->at + 1 >= p->size)
		return refuse(p, "a backslash at the end");
	if (c == 'v') {
		/* A class of characters to PCRE2, the vertical tab to RE2. */
		memcpy(p->out + p->out_size, "\\x0b", 4);
		p->out_size += 4;
		p->at += 2;
		return 0;
	}
	/* RE2: octal needs two digits unless it begins with 0; one digit is a backreference, which it has not. */
	if (c >= '1' && c <= '9' && !(c <= '7' && peek(p, 2) >= '0' && peek(p, 2) <= '7'))
		return refuse(p, "a backreference");
	if (is_digit(c)) {
		unsigned int value = 0;
		size_t digits = 1;

		for (; digits <= 3 && peek(p, digits) >= '0' && peek(p, digits) <= '7'; digits++)
			value = value * 8 + (unsigned int)(peek(p, digits) - '0');
		/* \12 may be a backreference to PCRE2: write the number in hexadecimal. */
		p->out_size += (size_t)sprintf(p->out + p->out_size, "\\x{%x}", value);
		p->at += digits;
		return 0;
	}
	if (((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) && !strchr(letters, c)) {
		char what[] = "the escape \\?";

		what[sizeof(what) - 2] = c;
		return refuse(p, what);
	}
	if (c == 'Q') {
		/* Everything up to \E is itself. */
		const char *end = memmem(p->text + p->at, p->size - p->at, "\\E", 2);

		pass(p, end ? (size_t)(end - p->text) + 2 - p->at : p->size - p->at);
		return 0;
	}
	pass(p, 2);
	/* \x{41} and \p{Greek}: these braces repeat nothing. */
	if ((c == 'x' || c == 'p' || c == 'P') && peek(p, 0) == '{') {
		const char *end = memchr(p->text + p->at, '}', p->size - p->at);

		if (!end)
			return refuse(p, "a brace without its end");
		pass(p, (size_t)(end - p->text) + 1 - p->at);
	}
	return 0;
}

static int check_class(struct pattern *p)
{
	pass(p, 1);
	if (peek(p, 0) == '^')
		pass(p, 1);
	/* A bracket that comes first is itself. */
	if (peek(p, 0) == ']')
		pass(p, 1);
	while (p->at < p->size && peek(p, 0) != ']') {
		int err = 0;

		if (peek(p, 0) == '[' && (peek(p, 1) == '.' || peek(p, 1) == '='))
			return refuse(p, "a collating element");
		if (peek(p, 0) == '[' && peek(p, 1) == ':') {
			const char *end = memmem(p->text + p->at, p->size - p->at, ":]", 2);

			pass(p, end ? (size_t)(end - p->text) + 2 - p->at : 1);
		} else if (peek(p, 0) == '\\') {
			err = check_escape(p, true);
		} else {
			pass(p, 1);
		}
		if (err)
			return err;
	}
	if (p->at == p->size)
		return refuse(p, "a bracket without its end");
	pass(p, 1);
	return 0;
}

/* "(" and what says which kind of group it is. */
static int check_group(struct pattern *p)
{
	size_t flags = 2;

	if (peek(p, 1) == '*')
		return refuse(p, "a verb (*...)");
	if (peek(p, 1) != '?') {
		pass(p, 1);
		return 0;
	}
	if (peek(p, 2) == 'P' && peek(p, 3) == '<') {
		pass(p, 4);
		return 0;
	}
	if (peek(p, 2) == '=' || peek(p, 2) == '!' || (peek(p, 2) == '<' && (peek(p, 3) == '=' || peek(p, 3) == '!')))
		return refuse(p, "a lookaround assertion");
	if (peek(p, 2) == '<') {
		pass(p, 3);
		return 0;
	}
	if (peek(p, 2) == '>')
		return refuse(p, "an atomic group");
	while (peek(p, flags) && strchr("imsU-", peek(p, flags)))
		flags++;
	if (peek(p, flags) != ':' && peek(p, flags) != ')')
		return refuse(p, "a group (?...) of another kind than flags i, m, s, U and names");
	pass(p, flags + 1);
	return 0;
}

/* {n}, {n,}, {n,m} at the pattern's position: its bytes, 0 when the brace is itself. *most: the larger number. */
static size_t repeat_size(const struct pattern *p, long *most)
{
	size_t i = 1;
	long numbers[2] = {0, 0};

	for (int k = 0; k < 2; k++) {
		size_t first = i;

		for (; is_digit(peek(p, i)); i++)
			numbers[k] = numbers[k] > MAX_REPEAT ? numbers[k] : numbers[k] * 10 + (peek(p, i) - '0');
		if (k == 0 && i == first)
			return 0;
		if (peek(p, i) == '}')
			break;
		if (k == 1 || peek(p, i) != ',')
			return 0;
		i++;
	}
	*most = numbers[0] > numbers[1] ? numbers[0] : numbers[1];
	return i + 1;
}

/* A quantifier with its optional "?"; another one behind it is possessive to PCRE2 and an error to RE2. */
static int check_quantifier(struct pattern *p, size_t size)
{
	long most;

	pass(p, size);
	if (peek(p, 0) == '?')
		pass(p, 1);
	if (peek(p, 0) == '*' || peek(p, 0) == '+' || peek(p, 0) == '?' || (peek(p, 0) == '{' && repeat_size(p, &most)))
		return refuse(p, "a quantifier behind a quantifier");
	return 0;
}

static int check_syntax(struct pattern *p)
{
	int err = 0;

	while (!err && p->at < p->size) {
		size_t repeat;
		long most = 0;

		switch (peek(p, 0)) {
		case '\\':
			err = check_escape(p, false);
			break;
		case '[':
			err = check_class(p);
			break;
		case '(':
			err = check_group(p);
			break;
		case '*':
		case '+':
		case '?':
			err = check_quantifier(p, 1);
			break;
		case '{':
			repeat = repeat_size(p, &most);
			if (most > MAX_REPEAT)
				err = refuse(p, "a repetition of more than 1000");
			else if (repeat)
				err = check_quantifier(p, repeat);
			else
				pass(p, 1);
			break;
		default:
			pass(p, 1);
		}
	}
	return err;
}

/* ---- compiling and matching ---- */

static int compile(const struct op_node *node, pcre2_code **code, char *error)
{
	const struct attr *attr = op_attr(node, "pattern");
	struct pattern p = {.error = error};
	PCRE2_UCHAR reason[128];
	PCRE2_SIZE offset;
	int number, err;

	*code = NULL;
	if (!attr || attr->type != ATTR_STRING) {
		snprintf(error, OP_ERROR_SIZE, "RegexFullMatch: the attribute pattern is missing");
		return -EINVAL;
	}
	p.text = attr->s.data;
	p.size = attr->s.size;
	/* An octal of two characters, \0, becomes \x{0}: five. */
	p.out = malloc(3 * p.size + 8);
	if (!p.out)
		return -ENOMEM;
	err = check_syntax(&p);
	if (!err) {
		*code = pcre2_compile((PCRE2_SPTR)p.out, p.out_size,
				      PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY |
					      PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_CAPTURE,
				      &number, &offset, NULL);
		if (!*code) {
			pcre2_get_error_message(number, reason, sizeof(reason));
			snprintf(error, OP_ERROR_SIZE, "RegexFullMatch: attribute pattern: %s at character %zu",
				 (const char *)reason, (size_t)offset);
			err = -EINVAL;
		}
	}
	free(p.out);
	return err;
}

static void release_pattern(void *state)
{
	pcre2_code_free(state);
}

/* A pattern that does not compile is reported by the run, which can say why. */
static int prepare_pattern(const struct op_node *node, const struct tensor *const *constants, void **state)
{
	char error[OP_ERROR_SIZE];
	pcre2_code *code;
	int err = compile(node, &code, error);

	(void)constants;
	*state = code;
	return err == -ENOMEM ? err : 0;
}

/*
 * struct matcher - working memory of one run; the workspace grows with what the pattern needs
 */
struct matcher {
	pcre2_match_data *data;
	int *workspace;
	size_t size;
};

/* 1, 0, -ENOMEM, or -ENOTSUP for a pattern that needs too much workspace. Bytes that are no UTF-8 match nothing. */
static int match_string(struct matcher *m, const pcre2_code *code, const struct tensor_string *text)
{
	for (;;) {
		int result = pcre2_dfa_match(code, (PCRE2_SPTR)(text->size ? text->data : ""), text->size, 0, 0,
					     m->data, NULL, m->workspace, m->size);
		int *grown;

		if (result == PCRE2_ERROR_NOMEMORY)
			return -ENOMEM;
		if (result >= 0)
			return 1;
		if (result == PCRE2_ERROR_NOMATCH ||
		    (result <= PCRE2_ERROR_UTF8_ERR1 && result >= PCRE2_ERROR_UTF8_ERR21))
			return 0;
		if (result != PCRE2_ERROR_DFA_WSSIZE || 4 * m->size > WORKSPACE_LIMIT)
			return -ENOTSUP;
		grown = realloc(m->workspace, 4 * m->size * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		m->workspace = grown;
		m->size *= 4;
	}
}

static int match_all(struct op_call *call, const pcre2_code *code)
{
	const struct tensor *in = call->inputs[0];
	const struct tensor_string *text = in->data;
	struct matcher m = {.size = WORKSPACE_START};
	int err = 0;

	m.data = pcre2_match_data_create(1, NULL);
	m.workspace = malloc(m.size * sizeof(*m.workspace));
	if (!m.data || !m.workspace)
		err = op_fail(call, -ENOMEM, "RegexFullMatch: no memory to match in");
	for (int64_t i = 0; !err && i < tensor_count(in); i++) {
		int matched = match_string(&m, code, &text[i]);

		if (matched < 0)
			err = op_fail(call, matched, "RegexFullMatch: element %" PRId64 " of input 0 needs %s", i,
				      matched == -ENOMEM ? "more memory than there is" : "too many states at once");
		else
			((uint8_t *)call->outputs[0]->data)[i] = (uint8_t)matched;
	}
	free(m.workspace);
	pcre2_match_data_free(m.data);
	return err;
}

static int run_regex(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	pcre2_code *own = NULL, *code = call->state;
	int err = 0;

	if (!op_wanted(call, 0))
		return 0;
	if (in->dtype != DTYPE_STRING)
		return op_fail(call, -EINVAL, "RegexFullMatch: input 0 is %s, expected string", dtype_name(in->dtype));
	if (!code) {
		err = compile(call->node, &own, call->error);
		code = own;
	}
	if (!err)
		err = op_output(call, 0, DTYPE_BOOL, in->rank, in->dims);
	if (!err)
		err = match_all(call, code);
	pcre2_code_free(own);
	return err;
}

const struct op_kernel ops_regex[] = {
	{"", "RegexFullMatch", 20, 0, 1, 1, 1, 1, run_regex, prepare_pattern, release_pattern},
};
const size_t ops_regex_count = sizeof(ops_regex) / sizeof(ops_regex[0]);
