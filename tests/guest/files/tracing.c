// SPDX-License-Identifier: GPL-2.0-only
/*
 * tracing ID: opens the trace event with this number as perf and bpftrace do, says so, and keeps it
 * open until its standard input ends.
 */
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = argc == 2 ? strtoull(argv[1], NULL, 0) : 0,
	};
	char byte;

	if (syscall(SYS_perf_event_open, &attr, -1, 0, -1, 0) < 0) {
		perror("perf_event_open");
		return 1;
	}
	puts("open");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
