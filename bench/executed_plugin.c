// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for the QEMU that emulates the KVM host: counts the instructions executed between the
 * two marks that a program in the guest sets (executed.h), and writes each count as a line to the
 * file `out=FILE`.
 *
 * The time of an emulated CPU is useless for a benchmark, but its instruction count is exact. All
 * instructions are counted, those of the guest's kernel and, during an exit, those of the host. So
 * a span has to be short and has to be repeated: the spans without an exit show what the guest
 * executes.
 *
 * No package has QEMU's header for plugins, so the parts that are used are declared here, for two
 * of its versions: 1, which QEMU 7.2 has, and 3, which QEMU 10 has. This file works with both: what
 * only one of them has is looked up at load time.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "executed.h"

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_scoreboard;

enum { QEMU_PLUGIN_CB_NO_REGS = 0, QEMU_PLUGIN_INLINE_ADD_U64 = 0 };

/* ---- In both versions ---- */

void qemu_plugin_register_vcpu_tb_trans_cb(unsigned long id,
					   void (*callback)(unsigned long id,
							    struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*callback)(unsigned int cpu, void *data),
					    int flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

/* ---- In version 1: a counter is any variable, and an instruction is read in place ---- */

static void (*count_in_variable)(struct qemu_plugin_tb *tb, int op, void *counter,
				 unsigned long operand);
static const void *(*instruction)(const struct qemu_plugin_insn *insn);

/*
 * ---- In version 3: a counter lies in a CPU's row of a scoreboard, and instructions are copied
 * ----
 */

struct counter {
	struct qemu_plugin_scoreboard *board;
	size_t offset;
};

static struct qemu_plugin_scoreboard *(*new_board)(size_t row_size);
static unsigned long (*value_of)(struct counter counter, unsigned int cpu);
static void (*count_on_board)(struct qemu_plugin_tb *tb, int op, struct counter counter,
			      unsigned long operand);
static size_t (*copy_instruction)(const struct qemu_plugin_insn *insn, void *into, size_t size);

/* ---- Which of the two ---- */

__attribute__((visibility("default"))) int qemu_plugin_version;

/* QEMU reads the version after it has loaded this file and before it calls anything in it. */
__attribute__((constructor)) static void choose_version(void)
{
	void *data = dlsym(RTLD_DEFAULT, "qemu_plugin_insn_data");

	new_board = dlsym(RTLD_DEFAULT, "qemu_plugin_scoreboard_new");
	value_of = dlsym(RTLD_DEFAULT, "qemu_plugin_u64_get");
	count_on_board =
		dlsym(RTLD_DEFAULT, "qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu");
	count_in_variable = dlsym(RTLD_DEFAULT, "qemu_plugin_register_vcpu_tb_exec_inline");
	if (new_board && value_of && count_on_board) {
		qemu_plugin_version = 3;
		copy_instruction = data;
	} else {
		qemu_plugin_version = 1;
		instruction = data;
	}
}

/* ---- Counting ---- */

/* steal.py gives the emulated host a single CPU, so only one thread adds to it. */
static unsigned long executed, begun;
static struct counter executed_by;
static FILE *out;

static unsigned long executed_so_far(unsigned int cpu)
{
	return executed_by.board ? value_of(executed_by, cpu) : executed;
}

static void count_block(struct qemu_plugin_tb *tb, size_t instructions)
{
	if (executed_by.board)
		count_on_board(tb, QEMU_PLUGIN_INLINE_ADD_U64, executed_by, instructions);
	else
		count_in_variable(tb, QEMU_PLUGIN_INLINE_ADD_U64, &executed, instructions);
}

static void begin(unsigned int cpu, void *data)
{
	(void)data;
	begun = executed_so_far(cpu);
}

static void end(unsigned int cpu, void *data)
{
	(void)data;
	fprintf(out, "%lu\n", executed_so_far(cpu) - begun);
	fflush(out);
}

static int is_mark(const struct qemu_plugin_insn *insn,
		   const unsigned char mark[EXECUTED_MARK_SIZE])
{
	unsigned char copy[EXECUTED_MARK_SIZE];

	if (qemu_plugin_insn_size(insn) != sizeof(copy))
		return 0;
	if (instruction)
		return !memcmp(instruction(insn), mark, sizeof(copy));
	return copy_instruction(insn, copy, sizeof(copy)) == sizeof(copy) &&
	       !memcmp(copy, mark, sizeof(copy));
}

static void translated(unsigned long id, struct qemu_plugin_tb *tb)
{
	static const unsigned char begins[] = { EXECUTED_BEGIN }, ends[] = { EXECUTED_END };
	size_t count = qemu_plugin_tb_n_insns(tb);
	size_t i;

	(void)id;
	/*
	 * A block is counted as a whole when it is entered. So the rest of a mark's block is
	 * counted on the wrong side of the mark: the same few instructions each time.
	 */
	count_block(tb, count);
	for (i = 0; i < count; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (is_mark(insn, begins))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, QEMU_PLUGIN_CB_NO_REGS,
							       NULL);
		else if (is_mark(insn, ends))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, end, QEMU_PLUGIN_CB_NO_REGS,
							       NULL);
	}
}

/* On error QEMU does not start. */
__attribute__((visibility("default"))) int qemu_plugin_install(unsigned long id, const void *info,
							       int argc, char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4)) {
		fprintf(stderr, "executed_plugin: the one argument is out=FILE\n");
		return -1;
	}
	out = fopen(argv[0] + 4, "w");
	if (!out) {
		perror(argv[0] + 4);
		return -1;
	}
	if (qemu_plugin_version == 3)
		executed_by.board = new_board(sizeof(executed));
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
