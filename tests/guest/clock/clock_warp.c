// SPDX-License-Identifier: GPL-2.0-only
/*
 * clock_warp COUNT: a process on each CPU reads CLOCK_MONOTONIC COUNT times. Prints how many reads
 * were below the previous read of the same process, and how many were below the largest value that
 * any process had before the read began.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct shared {
	_Atomic long long latest;
	_Atomic long handovers, own_steps, across_steps;
	_Atomic long long max_step_ns;
};

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void raise_to(_Atomic long long *largest, long long value)
{
	long long seen = *largest;

	while (seen < value && !atomic_compare_exchange_weak(largest, &seen, value))
		;
}

static int read_on(int cpu, long count, struct shared *shared)
{
	long long before = 0;
	cpu_set_t one;
	long i;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one)) {
		perror("sched_setaffinity");
		return 1;
	}
	for (i = 0; i < count; i++) {
		long long seen = shared->latest;
		long long now = now_ns();

		if (now < before)
			shared->own_steps++;
		else if (now < seen)
			shared->across_steps++;
		if (now < seen)
			raise_to(&shared->max_step_ns, seen - now);
		shared->handovers += seen != before;
		before = now;
		raise_to(&shared->latest, now);
		/* If the host runs one vCPU at a time, an idle one lets the next one run. */
		if (i % 1000 == 999)
			usleep(20);
	}
	return 0;
}

int main(int argc, char **argv)
{
	long count = argc == 2 ? atol(argv[1]) : 0;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int failed = 0;
	int status;
	int cpu;

	if (count < 1 || shared == MAP_FAILED) {
		fprintf(stderr, "usage: clock_warp COUNT\n");
		return 2;
	}
	for (cpu = 0; cpu < cpus; cpu++) {
		pid_t child = fork();

		if (child == 0)
			_exit(read_on(cpu, count, shared));
		failed |= child < 0;
	}
	while (wait(&status) > 0)
		failed |= status;
	printf("cpus %ld reads %ld handovers %ld own_steps %ld across_steps %ld max_step_ns %lld\n",
	       cpus, cpus * count, shared->handovers, shared->own_steps, shared->across_steps,
	       shared->max_step_ns);
	return failed ? 1 : 0;
}
