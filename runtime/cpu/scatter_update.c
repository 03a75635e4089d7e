// SPDX-License-Identifier: MIT
/*
 * Loops of the scatter reductions: see scatter_update.h. Integers wrap around.
 */
#include "runtime/cpu/scatter_update.h"

#define UPDATE_LOOP(name, T, expression)                          \
	static void name(int64_t n, void *to_, const void *from_) \
	{                                                         \
		T *to = to_;                                      \
		const T *from = from_;                            \
                                                                  \
		for (int64_t i = 0; i < n; i++) {                 \
			const T a = to[i], b = from[i];           \
			to[i] = (T)(expression);                  \
		}                                                 \
	}

/* U: the type of sums and products, unsigned for integers so that they wrap. */
#define UPDATE_LOOPS(type, T, U)                            \
	UPDATE_LOOP(add_##type, T, (U)a + (U)b)             \
	UPDATE_LOOP(mul_##type, T, (U)a *(U)b)              \
	UPDATE_LOOP(max_##type, T, a > b || a != a ? a : b) \
	UPDATE_LOOP(min_##type, T, a < b || a != a ? a : b)
UPDATE_LOOPS(f32, float, float)
UPDATE_LOOPS(f64, double, double)
UPDATE_LOOPS(u8, uint8_t, uint32_t)
UPDATE_LOOPS(s8, int8_t, uint32_t)
UPDATE_LOOPS(u16, uint16_t, uint32_t)
UPDATE_LOOPS(s16, int16_t, uint32_t)
UPDATE_LOOPS(u32, uint32_t, uint32_t)
UPDATE_LOOPS(s32, int32_t, uint32_t)
UPDATE_LOOPS(u64, uint64_t, uint64_t)
UPDATE_LOOPS(s64, int64_t, uint64_t)

UPDATE_LOOP(add_bool_, uint8_t, a || b)
UPDATE_LOOP(mul_bool_, uint8_t, a &&b)

#define HALF_LOOPS(type)                                                                      \
	UPDATE_LOOP(add_##type, uint16_t, f32_to_##type(type##_to_f32(a) + type##_to_f32(b))) \
	UPDATE_LOOP(mul_##type, uint16_t, f32_to_##type(type##_to_f32(a) * type##_to_f32(b))) \
	UPDATE_LOOP(max_##type, uint16_t, type##_to_f32(a) > type##_to_f32(b) ? a : b)        \
	UPDATE_LOOP(min_##type, uint16_t, type##_to_f32(a) < type##_to_f32(b) ? a : b)
HALF_LOOPS(f16)
HALF_LOOPS(bf16)

#define DTYPE_LIMIT (DTYPE_BF16 + 1)
#define UPDATES(name, on_bool)                                                                                      \
	{                                                                                                           \
		[DTYPE_F32] = name##_f32, [DTYPE_F64] = name##_f64, [DTYPE_U8] = name##_u8, [DTYPE_S8] = name##_s8, \
		[DTYPE_U16] = name##_u16, [DTYPE_S16] = name##_s16, [DTYPE_U32] = name##_u32,                       \
		[DTYPE_S32] = name##_s32, [DTYPE_U64] = name##_u64, [DTYPE_S64] = name##_s64,                       \
		[DTYPE_F16] = name##_f16, [DTYPE_BF16] = name##_bf16, [DTYPE_BOOL] = on_bool,                       \
	}

scatter_update scatter_update_for(enum scatter_reduction reduction, enum dtype type)
{
	static const scatter_update loops[][DTYPE_LIMIT] = {
		[SCATTER_ADD] = UPDATES(add, add_bool_),
		[SCATTER_MUL] = UPDATES(mul, mul_bool_),
		[SCATTER_MAX] = UPDATES(max, add_bool_),
		[SCATTER_MIN] = UPDATES(min, mul_bool_),
	};

	return (unsigned int)type < DTYPE_LIMIT ? loops[reduction][type] : NULL;
}
