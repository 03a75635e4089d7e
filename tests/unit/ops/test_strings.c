// SPDX-License-Identifier: MIT
/*
 * Operators on strings. Expectations are what Python's str methods and re.fullmatch give, and RE2's documentation.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/utf8.h"
#include "tests/unit/cpu/op_case.h"

/* Append an input of @count strings; each "" stands for an empty element. */
static struct tensor *add_strings(struct op_case *c, int rank, const int64_t *dims, const char *const *texts)
{
	struct tensor *t = op_case_input(c, DTYPE_STRING, rank, dims);
	struct tensor_string *strings = t->data;

	for (int64_t i = 0; i < tensor_count(t); i++) {
		strings[i].size = strlen(texts[i]);
		strings[i].data = strings[i].size ? strdup(texts[i]) : NULL;
	}
	return t;
}

static void expect_strings(const struct tensor *t, const char *const *want)
{
	const struct tensor_string *got = t->data;

	assert_int_equal(t->dtype, DTYPE_STRING);
	for (int64_t i = 0; i < tensor_count(t); i++)
		if (got[i].size != strlen(want[i]) || (got[i].size && memcmp(got[i].data, want[i], got[i].size)))
			fail_msg("element %lld is \"%.*s\", expected \"%s\"", (long long)i, (int)got[i].size,
				 got[i].data ? got[i].data : "", want[i]);
}

/* ---- UTF-8 ---- */

static void utf8_reads_what_it_wrote(void **state)
{
	static const int32_t points[] = {0x00, 0x7f, 0x80, 0x7ff, 0x800, 0xfffd, 0x10000, 0x10ffff};
	char text[UTF8_MAX_SIZE];
	size_t used;

	(void)state;
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		size_t size = utf8_encode(points[i], text);

		assert_int_equal(utf8_decode(text, size, &used), points[i]);
		assert_int_equal(used, size);
		if (size > 1)
			assert_int_equal(utf8_decode(text, size - 1, &used), -1);
	}
}

static void utf8_refuses_what_is_none(void **state)
{
	/* A lone continuation, an overlong slash, a surrogate, above U+10FFFF, a byte that is in no character. */
	static const char *const bad[] = {"\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"};
	size_t used;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(utf8_decode(bad[i], strlen(bad[i]), &used), -1);
		assert_int_equal(used, 1);
	}
}

/* ---- StringConcat ---- */

static void concat_broadcasts(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "StringConcat", 20);
	add_strings(&c, 2, (int64_t[]){2, 2}, (const char *[]){"a", "b", "", "d"});
	add_strings(&c, 1, (int64_t[]){2}, (const char *[]){".com", ""});
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 2, (int64_t[]){2, 2});
	expect_strings(&c.outputs[0], (const char *[]){"a.com", "b", ".com", "d"});
	op_case_finish(&c);
}

static void concat_wants_strings(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "StringConcat", 20);
	add_strings(&c, 1, (int64_t[]){1}, (const char *[]){"a"});
	op_case_random(&c, 1, (int64_t[]){1});
	op_case_expect_error(&c, -EINVAL, "input 1 is float32");
	op_case_finish(&c);
}

/* ---- StringSplit ---- */

#define MAX_PARTS 4

static void split_is_pythons(void **state)
{
	static const struct {
		const char *text, *delimiter;
		int64_t maxsplit; /* -1: no attribute */
		int64_t count;
		const char *parts[MAX_PARTS];
	} cases[] = {
		{"a b c", NULL, -1, 3, {"a", "b", "c"}},
		{"  a \t b\n", NULL, -1, 2, {"a", "b"}},
		{"", NULL, -1, 0, {0}},
		{" \t ", "", -1, 0, {0}},
		{"a b  c ", NULL, 1, 2, {"a", "b  c "}},
		{" a b", NULL, 0, 1, {"a b"}},
		{"a\xe3\x80\x80"
		 "b",
		 NULL,
		 -1,
		 2,
		 {"a", "b"}},
		{"a,b,,c", ",", -1, 4, {"a", "b", "", "c"}},
		{",a,", ",", -1, 3, {"", "a", ""}},
		{"", ",", -1, 1, {""}},
		{"a--b-c", "--", -1, 2, {"a", "b-c"}},
		{"a,b,c", ",", 1, 2, {"a", "b,c"}},
		{"a,b", ",", 0, 1, {"a,b"}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct op_case c;

		op_case_init(&c, "", "StringSplit", 20);
		c.node.num_outputs = 2;
		add_strings(&c, 1, (int64_t[]){1}, &cases[i].text);
		if (cases[i].delimiter)
			op_case_string(&c, "delimiter", cases[i].delimiter);
		if (cases[i].maxsplit >= 0)
			op_case_int(&c, "maxsplit", cases[i].maxsplit);
		op_case_expect_ok(&c);
		expect_shape(&c.outputs[0], 2, (int64_t[]){1, cases[i].count});
		expect_strings(&c.outputs[0], cases[i].parts);
		assert_int_equal(*(int64_t *)c.outputs[1].data, cases[i].count);
		op_case_finish(&c);
	}
}

static void split_pads_to_the_longest(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "StringSplit", 20);
	c.node.num_outputs = 2;
	add_strings(&c, 2, (int64_t[]){2, 1}, (const char *[]){"a b c", "d"});
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 3, (int64_t[]){2, 1, 3});
	expect_strings(&c.outputs[0], (const char *[]){"a", "b", "c", "d", "", ""});
	expect_shape(&c.outputs[1], 2, (int64_t[]){2, 1});
	expect_same_bytes(&c.outputs[1], (int64_t[]){3, 1});
	op_case_finish(&c);
}

static void split_of_nothing_is_nothing(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "StringSplit", 20);
	c.node.num_outputs = 2;
	add_strings(&c, 2, (int64_t[]){3, 0}, NULL);
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 3, (int64_t[]){3, 0, 0});
	op_case_finish(&c);
	op_case_init(&c, "", "StringSplit", 20);
	c.node.num_outputs = 2;
	add_strings(&c, 1, (int64_t[]){1}, (const char *[]){"a"});
	op_case_int(&c, "maxsplit", -2);
	op_case_expect_error(&c, -EINVAL, "maxsplit = -2");
	op_case_finish(&c);
}

/* ---- StringNormalizer ---- */

static void add_string_list(struct op_case *c, const char *name, struct tensor_string *list, size_t count)
{
	c->attrs[c->node.num_attrs++] =
		(struct attr){.name = name, .type = ATTR_STRINGS, .count = count, .strings = list};
}

static void normalizer_drops_and_changes_case(void **state)
{
	static const char *const input[] = {"Monday", "tuesday", "\xc3\x89t\xc3\xa9", "MONDAY"};
	static const struct {
		const char *change;
		bool case_sensitive;
		int64_t count;
		const char *want[4];
	} cases[] = {
		{"NONE", true, 3, {"tuesday", "\xc3\x89t\xc3\xa9", "MONDAY"}},
		{"NONE", false, 2, {"tuesday", "\xc3\x89t\xc3\xa9"}},
		{"LOWER", true, 3, {"tuesday", "\xc3\xa9t\xc3\xa9", "monday"}},
		{"UPPER", false, 2, {"TUESDAY", "\xc3\x89T\xc3\x89"}},
	};
	struct tensor_string stop = {(char *)(uintptr_t) "Monday", 6};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int rank = 1; rank <= 2; rank++) {
			struct op_case c;

			op_case_init(&c, "", "StringNormalizer", 10);
			add_strings(&c, rank, rank == 1 ? (int64_t[]){4} : (int64_t[]){1, 4}, input);
			op_case_string(&c, "case_change_action", cases[i].change);
			op_case_int(&c, "is_case_sensitive", cases[i].case_sensitive);
			add_string_list(&c, "stopwords", &stop, 1);
			op_case_expect_ok(&c);
			expect_shape(&c.outputs[0], rank, rank == 1 ? &cases[i].count : (int64_t[]){1, cases[i].count});
			expect_strings(&c.outputs[0], cases[i].want);
			op_case_finish(&c);
		}
}

static void normalizer_of_stopwords_is_one_empty_string(void **state)
{
	struct tensor_string stop = {(char *)(uintptr_t) "a", 1};
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "StringNormalizer", 10);
	add_strings(&c, 2, (int64_t[]){1, 2}, (const char *[]){"a", "A"});
	add_string_list(&c, "stopwords", &stop, 1);
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 2, (int64_t[]){1, 1});
	expect_strings(&c.outputs[0], (const char *[]){""});
	op_case_finish(&c);
}

static void normalizer_names_what_does_not_fit(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "StringNormalizer", 10);
	add_strings(&c, 2, (int64_t[]){2, 1}, (const char *[]){"a", "b"});
	op_case_expect_error(&c, -EINVAL, "neither [C] nor [1, C]");
	op_case_string(&c, "case_change_action", "TITLE");
	c.inputs[0].dims[0] = 1;
	op_case_expect_error(&c, -EINVAL, "none of NONE, LOWER, UPPER");
	c.inputs[0].dims[0] = 2;
	op_case_finish(&c);
	op_case_init(&c, "", "StringNormalizer", 10);
	add_strings(&c, 1, (int64_t[]){1}, (const char *[]){"a"});
	op_case_string(&c, "locale", "tr_XX_nowhere");
	op_case_expect_error(&c, -ENOTSUP, "no locale tr_XX_nowhere");
	op_case_finish(&c);
}

/* ---- RegexFullMatch ---- */

static void patterns_match_whole_strings(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool match;
	} cases[] = {
		{"www\\.[\\w.-]+\\.\\bcom\\b", "www.google.com", true},
		{"www\\.[\\w.-]+\\.\\bcom\\b", "www.bbc.co.uk", false},
		{"(\\W|^)[\\w.\\-]{0,25}@(yahoo|gmail)\\.com(\\W|$)", "account@gmail.com", true},
		{"(\\W|^)[\\w.\\-]{0,25}@(yahoo|gmail)\\.com(\\W|$)", "account@hotmail.com", false},
		{"a|ab", "ab", true},
		{"a+", "aaab", false},
		{"", "", true},
		{"a$", "a\n", false},
		{"a.b", "a\nb", false},
		{"(?s)a.b", "a\nb", true},
		{"(?i)STRASSE", "strasse", true},
		{"\\d+", "\xd9\xa3", false},
		{"\\p{Greek}+", "\xce\xb1\xce\xb2", true},
		{".", "\xc3\xa9", true},
		{".", "\xff", false},
		{"\\x{e9}{2}", "\xc3\xa9\xc3\xa9", true},
		{"\\v", "\v", true},
		{"\\v", "\n", false},
		{"\\101\\0", "A", false},
		{"\\101", "A", true},
		{"\\Qa.b\\E+", "a.bb", true},
		{"[]a]+", "]a", true},
		{"(?P<year>\\d{4})-\\d\\d", "2026-11", true},
		{"x{2,3}?", "xxx", true},
		{"{a}", "{a}", true},
		/* Exponential for a matcher that backtracks. */
		{"(a|a|aa)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct op_case c;

		op_case_init(&c, "", "RegexFullMatch", 20);
		add_strings(&c, 1, (int64_t[]){1}, &cases[i].text);
		op_case_string(&c, "pattern", cases[i].pattern);
		op_case_expect_ok(&c);
		assert_int_equal(c.outputs[0].dtype, DTYPE_BOOL);
		if (*(uint8_t *)c.outputs[0].data != cases[i].match)
			fail_msg("%s on \"%s\": expected %d", cases[i].pattern, cases[i].text, cases[i].match);
		op_case_finish(&c);
	}
}

static void patterns_beyond_re2_are_refused(void **state)
{
	static const struct {
		const char *pattern, *text;
	} cases[] = {
		{"(a)\\1", "a backreference at character 3"},
		{"(?=a)a", "a lookaround assertion"},
		{"(?<!a)b", "a lookaround assertion"},
		{"(?>a)", "an atomic group"},
		{"a*+", "a quantifier behind a quantifier"},
		{"a{2}{3}", "a quantifier behind a quantifier"},
		{"(?P=n)", "(?...) of another kind"},
		{"(?R)", "(?...) of another kind"},
		{"(*ACCEPT)", "a verb"},
		{"\\K", "the escape \\K"},
		{"a{1001}", "more than 1000"},
		{"[a", "a bracket without its end"},
		{"a\\", "a backslash at the end"},
		{"(a", "missing closing parenthesis"},
		{"*a", "quantifier does not follow"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct op_case c;

		op_case_init(&c, "", "RegexFullMatch", 20);
		add_strings(&c, 1, (int64_t[]){1}, (const char *[]){"a"});
		op_case_string(&c, "pattern", cases[i].pattern);
		op_case_expect_error(&c, -EINVAL, cases[i].text);
		op_case_finish(&c);
	}
}

/* ---- TfIdfVectorizer ---- */

/* Pool 2, 3, 5, 4 | 5 6, 7 8, 6 7 with columns 0 to 6: the pool of ONNX's own cases. */
static void start_tfidf(struct op_case *c, const char *mode, int64_t least, int64_t most, int64_t skip)
{
	op_case_init(c, "", "TfIdfVectorizer", 9);
	op_case_string(c, "mode", mode);
	op_case_int(c, "min_gram_length", least);
	op_case_int(c, "max_gram_length", most);
	op_case_int(c, "max_skip_count", skip);
	op_case_ints(c, "ngram_counts", 2, (int64_t[]){0, 4});
	op_case_ints(c, "ngram_indexes", 7, (int64_t[]){0, 1, 2, 3, 4, 5, 6});
	op_case_ints(c, "pool_int64s", 10, (int64_t[]){2, 3, 5, 4, 5, 6, 7, 8, 6, 7});
}

static void tfidf_counts_ngrams(void **state)
{
	static const struct {
		int64_t least, skip;
		float want[14];
	} cases[] = {
		{1, 5, {0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1}},
		{2, 5, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1}},
		{2, 0, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct op_case c;

		start_tfidf(&c, "TF", cases[i].least, 2, cases[i].skip);
		memcpy(op_case_input(&c, DTYPE_S64, 2, (int64_t[]){2, 6})->data,
		       (int64_t[]){1, 1, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8}, 96);
		op_case_expect_ok(&c);
		expect_shape(&c.outputs[0], 2, (int64_t[]){2, 7});
		expect_near(&c.outputs[0], cases[i].want, 0, 0);
		op_case_finish(&c);
	}
}

static void tfidf_weighs(void **state)
{
	static const float weights[] = {2, 3, 5};
	static const struct {
		const char *mode;
		float want[3];
	} cases[] = {{"TF", {0, 2, 1}}, {"IDF", {0, 2, 3}}, {"TFIDF", {0, 4, 3}}};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct tensor_string pool[] = {
			{(char *)(uintptr_t) "to", 2}, {(char *)(uintptr_t) "be", 2}, {(char *)(uintptr_t) "or", 2}};
		struct op_case c;

		op_case_init(&c, "", "TfIdfVectorizer", 9);
		op_case_string(&c, "mode", cases[i].mode);
		op_case_int(&c, "min_gram_length", 1);
		op_case_int(&c, "max_gram_length", 1);
		op_case_int(&c, "max_skip_count", 0);
		op_case_ints(&c, "ngram_counts", 1, (int64_t[]){0});
		op_case_ints(&c, "ngram_indexes", 3, (int64_t[]){1, 2, 0});
		op_case_floats(&c, "weights", 3, weights);
		add_string_list(&c, "pool_strings", pool, 3);
		add_strings(&c, 1, (int64_t[]){4}, (const char *[]){"to", "be", "not", "to"});
		op_case_expect_ok(&c);
		expect_shape(&c.outputs[0], 1, (int64_t[]){3});
		expect_near(&c.outputs[0], cases[i].want, 0, 0);
		op_case_finish(&c);
	}
}

static void tfidf_names_what_does_not_fit(void **state)
{
	struct op_case c;

	(void)state;
	start_tfidf(&c, "TF", 2, 1, 0);
	op_case_input(&c, DTYPE_S64, 1, (int64_t[]){6});
	op_case_expect_error(&c, -EINVAL, "1 <= min <= max");
	op_case_finish(&c);
	start_tfidf(&c, "TF", 1, 2, 0);
	op_case_input(&c, DTYPE_F32, 1, (int64_t[]){6});
	op_case_expect_error(&c, -EINVAL, "input 0 is float32, the pool has integers");
	op_case_finish(&c);
	start_tfidf(&c, "TF", 1, 2, 0);
	c.ints[4][1] = 5;
	op_case_input(&c, DTYPE_S64, 1, (int64_t[]){6});
	op_case_expect_error(&c, -EINVAL, "ngram_counts");
	op_case_finish(&c);
	start_tfidf(&c, "XX", 1, 2, 0);
	op_case_input(&c, DTYPE_S64, 1, (int64_t[]){6});
	op_case_expect_error(&c, -EINVAL, "none of TF, IDF, TFIDF");
	op_case_finish(&c);
}

/* ---- strings that are moved ---- */

static void sequences_of_strings_reverse(void **state)
{
	struct op_case c;

	(void)state;
	/* Two sequences of three steps, [time, batch]: the first reversed whole, of the second the first two. */
	op_case_init(&c, "", "ReverseSequence", 10);
	add_strings(&c, 2, (int64_t[]){3, 2}, (const char *[]){"a", "x", "b", "y", "", "z"});
	memcpy(op_case_input(&c, DTYPE_S64, 1, (int64_t[]){2})->data, (int64_t[]){3, 2}, 16);
	op_case_expect_ok(&c);
	expect_strings(&c.outputs[0], (const char *[]){"", "y", "b", "x", "a", "z"});
	op_case_finish(&c);
}

static void triangles_of_strings_are_emptied(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Trilu", 14);
	add_strings(&c, 2, (int64_t[]){2, 3}, (const char *[]){"a", "b", "c", "d", "e", "f"});
	op_case_int(&c, "upper", 0);
	op_case_expect_ok(&c);
	expect_strings(&c.outputs[0], (const char *[]){"a", "", "", "d", "e", ""});
	op_case_finish(&c);
}

static void strings_are_sampled_by_the_nearest(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "GridSample", 20);
	add_strings(&c, 4, (int64_t[]){1, 1, 2, 2}, (const char *[]){"a", "b", "c", "d"});
	memcpy(op_case_input(&c, DTYPE_F32, 4, (int64_t[]){1, 1, 3, 2})->data,
	       (float[]){0.5f, -0.5f, -0.5f, 0.5f, 9, 9}, 24);
	op_case_string(&c, "mode", "nearest");
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 4, (int64_t[]){1, 1, 1, 3});
	expect_strings(&c.outputs[0], (const char *[]){"b", "c", ""});
	op_case_finish(&c);
	op_case_init(&c, "", "GridSample", 20);
	add_strings(&c, 4, (int64_t[]){1, 1, 1, 1}, (const char *[]){"a"});
	op_case_random(&c, 4, (int64_t[]){1, 1, 1, 2});
	op_case_expect_error(&c, -EINVAL, "mode is not nearest, and input 0 is string");
	op_case_finish(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_reads_what_it_wrote),
		cmocka_unit_test(utf8_refuses_what_is_none),
		cmocka_unit_test(concat_broadcasts),
		cmocka_unit_test(concat_wants_strings),
		cmocka_unit_test(split_is_pythons),
		cmocka_unit_test(split_pads_to_the_longest),
		cmocka_unit_test(split_of_nothing_is_nothing),
		cmocka_unit_test(normalizer_drops_and_changes_case),
		cmocka_unit_test(normalizer_of_stopwords_is_one_empty_string),
		cmocka_unit_test(normalizer_names_what_does_not_fit),
		cmocka_unit_test(patterns_match_whole_strings),
		cmocka_unit_test(patterns_beyond_re2_are_refused),
		cmocka_unit_test(tfidf_counts_ngrams),
		cmocka_unit_test(tfidf_weighs),
		cmocka_unit_test(tfidf_names_what_does_not_fit),
		cmocka_unit_test(sequences_of_strings_reverse),
		cmocka_unit_test(triangles_of_strings_are_emptied),
		cmocka_unit_test(strings_are_sampled_by_the_nearest),
	};

	return cmocka_run_group_tests_name("strings", tests, NULL, NULL);
}
