// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for the QEMU that emulates the KVM host: counts the instructions executed between the
 * two marks that a program in the guest sets (executed.h), and writes each count as a line to the
 * file `out=FILE`.
 *
 * An emulated CPU's time is of no use to a benchmark; its instructions are exact. All of them are
 * counted: the guest's kernel, and the host's where the guest has left for it. So a span has to be
 * short, and there have to be many: those without an exit say what the guest executes.
 *
 * QEMU's header for plugins is in no package. What is declared here is version 1 of the interface,
 * which QEMU 7.2 has; a QEMU that no longer has it refuses to load this.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "executed.h"

struct qemu_plugin_tb;
struct qemu_plugin_insn;

enum { QEMU_PLUGIN_CB_NO_REGS = 0, QEMU_PLUGIN_INLINE_ADD_U64 = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(unsigned long id,
					   void (*callback)(unsigned long id,
							    struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *counter,
					      unsigned long operand);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*callback)(unsigned int cpu, void *data),
					    int flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

/* steal.py gives the emulated host one CPU, so nobody else adds to it. */
static unsigned long executed, begun;
static FILE *out;

static void begin(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	begun = executed;
}

static void end(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	fprintf(out, "%lu\n", executed - begun);
	fflush(out);
}

static int is_mark(const struct qemu_plugin_insn *insn,
		   const unsigned char mark[EXECUTED_MARK_SIZE])
{
	return qemu_plugin_insn_size(insn) == EXECUTED_MARK_SIZE &&
	       !memcmp(qemu_plugin_insn_data(insn), mark, EXECUTED_MARK_SIZE);
}

static void translated(unsigned long id, struct qemu_plugin_tb *tb)
{
	static const unsigned char begins[] = { EXECUTED_BEGIN }, ends[] = { EXECUTED_END };
	size_t count = qemu_plugin_tb_n_insns(tb);
	size_t i;

	(void)id;
	/*
	 * Once for the block, when it is entered. So what stands in a mark's block is on the wrong
	 * side of it, the same few instructions each time.
	 */
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &executed, count);
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

/* An error shows as QEMU's refusal to start. */
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
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
