// SPDX-License-Identifier: GPL-2.0-only
/*
 * ipi_calls COUNT CPUS: the kernel calls COUNT times on several CPUs at once: threads of this
 * process spin on CPUS CPUs, the first one among them, and that one has the kernel run a barrier on
 * all the others (membarrier(2)).
 */
#define _GNU_SOURCE
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic int spinning;
static _Atomic int done;

static int membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

static void bind(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set)) {
		perror("sched_setaffinity");
		exit(1);
	}
}

static void *spin(void *cpu)
{
	bind((int)(long)cpu);
	spinning++;
	while (!done)
		;
	return NULL;
}

int main(int argc, char **argv)
{
	const long count = argc > 2 ? atol(argv[1]) : 0;
	const int cpus = argc > 2 ? atoi(argv[2]) : 0;
	pthread_t thread;
	long calls;
	long cpu;

	bind(0);
	if (cpus < 3 || membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)) {
		perror("membarrier");
		return 1;
	}
	for (cpu = 1; cpu < cpus; cpu++)
		if (pthread_create(&thread, NULL, spin, (void *)cpu))
			return 1;
	while (spinning < cpus - 1)
		;
	for (calls = 0; calls < count; calls++)
		membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	done = 1;
	return 0;
}
