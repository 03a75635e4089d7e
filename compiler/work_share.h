/* SPDX-License-Identifier: MIT */
/*
 * How far a long call is, for who asked to be told: a number from 0 to 1 that never goes back. A part of the work has a share of its own, of
 * the whole or of another part.
 */
#ifndef COMPILER_WORK_SHARE_H
#define COMPILER_WORK_SHARE_H

/* @tell: on the thread of the call; NULL: nobody asked. The part goes from @from to @to. Zeroed: nobody asked. */
struct work_share {
	void (*tell)(void *context, double done);
	void *context;
	double from, to;
};

/* The part of @whole that begins when @from of it is done and ends with @to. */
static inline struct work_share work_share_part(const struct work_share *whole, double from, double to)
{
	double size = whole->to - whole->from;

	return (struct work_share){whole->tell, whole->context, whole->from + size * from, whole->from + size * to};
}

/* Part @index of a row of which nobody knows how long it is: each takes @share of what the ones before it left. */
static inline struct work_share work_share_next(const struct work_share *whole, unsigned int index, double share)
{
	double left = 1;

	while (index--)
		left *= 1 - share;
	return work_share_part(whole, 1 - left, 1 - left * (1 - share));
}

/* @done of @share, 0 to 1, is done. */
static inline void work_share_done(const struct work_share *share, double done)
{
	if (share->tell)
		share->tell(share->context, share->from + (share->to - share->from) * done);
}

#endif
