/* SPDX-License-Identifier: MIT */
/* See matrix_choice.h. */
#include "compiler/target/matrix_choice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool same_kind(const struct matrix_plan *a, const struct matrix_plan *b)
{
	return a->n == b->n && a->k == b->k && a->keep_weights == b->keep_weights && a->split_rows == b->split_rows;
}

/* Where @plan's kind is in the list, or its end. */
static unsigned int find_kind(const struct matrix_choice *choice, const struct matrix_plan *plan)
{
	unsigned int at = 0;

	while (at < choice->count && !same_kind(&choice->plans[at], plan))
		at++;
	return at;
}

void matrix_choice_add(struct matrix_choice *choice, const struct matrix_plan *plan)
{
	unsigned int at = find_kind(choice, plan);

	choice->compared++;
	if (at < choice->count && choice->plans[at].cycles <= plan->cycles)
		return;
	if (at == choice->count) {
		if (choice->count <= MATRIX_RUNNERS)
			choice->count++;
		else if (choice->plans[--at].cycles <= plan->cycles)
			return;
	}
	for (; at && choice->plans[at - 1].cycles > plan->cycles; at--)
		choice->plans[at] = choice->plans[at - 1];
	choice->plans[at] = *plan;
}

void matrix_choice_close(struct matrix_choice *choice, const struct matrix_plan *taken)
{
	unsigned int at = find_kind(choice, taken);

	if (at == choice->count && choice->count <= MATRIX_RUNNERS)
		choice->count++;
	else if (at == choice->count)
		at--; /* the last one has no place any more */
	memmove(choice->plans + 1, choice->plans, at * sizeof(*choice->plans));
	choice->plans[0] = *taken;
}

int matrix_choices_append(struct matrix_choices *choices, const struct matrix_choice *choice)
{
	struct matrix_choice *grown;

	if (!(choices->count & (choices->count - 1))) { /* the room is the next power of two */
		grown = realloc(choices->list, (choices->count ? choices->count * 2 : 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		choices->list = grown;
	}
	choices->list[choices->count++] = *choice;
	return 0;
}

void matrix_choices_finish(struct matrix_choices *choices)
{
	free(choices->list);
	*choices = (struct matrix_choices){0};
}
