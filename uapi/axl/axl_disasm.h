/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * Instructions as text, from the tables of axl_isa.h. User space only.
 */
#ifndef UAPI_AXL_AXL_DISASM_H
#define UAPI_AXL_AXL_DISASM_H

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <axl/axl_isa.h>

enum axl_field_kind {
	AXL_KIND_ADDR,
	AXL_KIND_ACC,
	AXL_KIND_STRIDE,
	AXL_KIND_COUNT,
	AXL_KIND_TYPE,
	AXL_KIND_ENUM,
	AXL_KIND_FLAGS,
	AXL_KIND_INT,
	AXL_KIND_FLOAT,
	AXL_KIND_BASE,
	AXL_KIND_TILES,
	AXL_KIND_ZERO,
};

/* One field of an operand format; @count 0 is a scalar; @is_signed by its C type. */
struct axl_field {
	const char *name;
	unsigned short offset, size, count;
	unsigned char is_signed, kind;
};

#define AXL_FIELD_COUNT(n) ((n) ? (n) : 1)
#define AXL_FIELD_ROW(structure, ctype, fname, n, fkind) \
	{#fname, offsetof(struct structure, fname), sizeof(ctype), n, (ctype)-1 < (ctype)1, AXL_KIND_##fkind},
#define AXL_FIELD_NONE(ctype, fname, n, fkind) AXL_FIELD_ROW(axl_none, ctype, fname, n, fkind)
#define AXL_FIELD_LOOP(ctype, fname, n, fkind) AXL_FIELD_ROW(axl_loop, ctype, fname, n, fkind)
#define AXL_FIELD_ADDBASE(ctype, fname, n, fkind) AXL_FIELD_ROW(axl_addbase, ctype, fname, n, fkind)
#define AXL_FIELD_DMA(ctype, fname, n, fkind) AXL_FIELD_ROW(axl_dma, ctype, fname, n, fkind)
#define AXL_FIELD_CONV(ctype, fname, n, fkind) AXL_FIELD_ROW(axl_conv, ctype, fname, n, fkind)
#define AXL_FIELD_DRAIN(ctype, fname, n, fkind) AXL_FIELD_ROW(axl_drain, ctype, fname, n, fkind)
#define AXL_FIELD_VEC(ctype, fname, n, fkind) AXL_FIELD_ROW(axl_vec, ctype, fname, n, fkind)

static const struct axl_field axl_fields_NONE[] = {AXL_FIELDS_NONE(AXL_FIELD_NONE){NULL, 0, 0, 0, 0, 0}};
static const struct axl_field axl_fields_LOOP[] = {AXL_FIELDS_LOOP(AXL_FIELD_LOOP){NULL, 0, 0, 0, 0, 0}};
static const struct axl_field axl_fields_ADDBASE[] = {AXL_FIELDS_ADDBASE(AXL_FIELD_ADDBASE){NULL, 0, 0, 0, 0, 0}};
static const struct axl_field axl_fields_DMA[] = {AXL_FIELDS_DMA(AXL_FIELD_DMA){NULL, 0, 0, 0, 0, 0}};
static const struct axl_field axl_fields_CONV[] = {AXL_FIELDS_CONV(AXL_FIELD_CONV){NULL, 0, 0, 0, 0, 0}};
static const struct axl_field axl_fields_DRAIN[] = {AXL_FIELDS_DRAIN(AXL_FIELD_DRAIN){NULL, 0, 0, 0, 0, 0}};
static const struct axl_field axl_fields_VEC[] = {AXL_FIELDS_VEC(AXL_FIELD_VEC){NULL, 0, 0, 0, 0, 0}};

static const struct {
	unsigned char opcode, slots;
	const char *text;
	const struct axl_field *fields;
} axl_opcode_table[] = {
#define AXL_OPCODE_ROW(name, number, format, pipe, slots, text) {number, slots, text, axl_fields_##format},
	AXL_OPCODES(AXL_OPCODE_ROW)
#undef AXL_OPCODE_ROW
};

static inline const char *axl_pipe_text(unsigned int pipe)
{
	static const char *const texts[] = {
#define AXL_TEXT_ROW(name, number, text) [number] = text,
		AXL_PIPES(AXL_TEXT_ROW)
#undef AXL_TEXT_ROW
	};
	return pipe < AXL_NUM_PIPES ? texts[pipe] : "?";
}

static inline const char *axl_type_text(unsigned long long type)
{
	static const char *const texts[] = {
#define AXL_TEXT_ROW(name, number, size, text) [number] = text,
		AXL_TYPES(AXL_TEXT_ROW)
#undef AXL_TEXT_ROW
	};
	return type < AXL_NUM_TYPES ? texts[type] : "?";
}

static inline const char *axl_vec_text(unsigned int op)
{
	static const char *const texts[256] = {
#define AXL_TEXT_ROW(name, number, class, domains, cost, text) [number] = text,
		AXL_VEC_OPS(AXL_TEXT_ROW)
#undef AXL_TEXT_ROW
	};
	return op < 256 && texts[op] ? texts[op] : "?";
}

static inline unsigned long long axl_field_value(const void *at, const struct axl_field *field)
{
	unsigned long long value = 0;

	memcpy(&value, at, field->size); /* little endian */
	if (field->is_signed && field->size < 8 && value >> (field->size * 8 - 1))
		value |= ~0ull << (field->size * 8);
	return value;
}

/*
 * One line: mnemonic, pipe, waits (?semaphore:count), signals (!semaphore:count), then every operand that is not zero.
 * Returns the length as snprintf() does; always terminated when @size > 0.
 */
static inline int axl_disassemble(const union axl_insn *insn, char *text, size_t size)
{
	const struct axl_field *field = NULL;
	size_t at = 0;

#define AXL_PUT(...) (at += at < size ? (size_t)snprintf(text + at, size - at, __VA_ARGS__) : 0)
	for (size_t i = 0; i < sizeof(axl_opcode_table) / sizeof(axl_opcode_table[0]); i++)
		if (axl_opcode_table[i].opcode == insn->header.opcode) {
			field = axl_opcode_table[i].fields;
			AXL_PUT("%-8s %-6s", axl_opcode_table[i].text,
				axl_pipe_text(insn->header.pipe));
		}
	if (!field)
		return (int)AXL_PUT("bad opcode 0x%02x", insn->header.opcode);
	for (int i = 0; i < 2; i++)
		if (insn->header.wait[i].count)
			AXL_PUT(" ?s%u:%u", insn->header.wait[i].sem, insn->header.wait[i].count);
	for (int i = 0; i < 2; i++)
		if (insn->header.signal[i].count)
			AXL_PUT(" !s%u:%u", insn->header.signal[i].sem, insn->header.signal[i].count);
	if (insn->header.opcode == AXL_OP_VEC)
		AXL_PUT(" %s", axl_vec_text(insn->vec.op));
	for (; field->name; field++) {
		int used = 0;

		for (unsigned int i = 0; i < AXL_FIELD_COUNT(field->count); i++)
			used |= axl_field_value(insn->bytes + field->offset + i * field->size, field) != 0;
		if (!used || field->kind == AXL_KIND_ZERO)
			continue;
		AXL_PUT(" %s=", field->name);
		for (unsigned int i = 0; i < AXL_FIELD_COUNT(field->count); i++) {
			unsigned long long value =
				axl_field_value(insn->bytes + field->offset + i * field->size, field);
			float real;

			if (i)
				AXL_PUT(",");
			if (field->kind == AXL_KIND_TYPE) {
				AXL_PUT("%s", axl_type_text(value));
			} else if (field->kind == AXL_KIND_FLOAT) {
				memcpy(&real, insn->bytes + field->offset + i * field->size, sizeof(real));
				AXL_PUT("%g", (double)real);
			} else if (field->kind == AXL_KIND_ADDR || field->kind == AXL_KIND_ACC) {
				AXL_PUT("0x%llx", value);
			} else {
				AXL_PUT("%lld", (long long)value);
			}
		}
	}
#undef AXL_PUT
	return (int)at;
}

#endif
