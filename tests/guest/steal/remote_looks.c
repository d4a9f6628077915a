// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread on CPU 1 never sleeps. Another one on CPU 0 makes the kernel update the clock of CPU 1's
 * run queue remotely, as a remote wake-up does: it reads the CPU clock of the first thread.
 *
 *	remote_looks SECONDS SLEEP_US BUSY_US
 *
 * Between two looks it sleeps for SLEEP_US and is busy for BUSY_US. If both vCPUs share a host CPU,
 * time is stolen from CPU 1 meanwhile, for less than a tick. Prints how many ns have passed, how
 * many the kernel has charged to the first thread (/proc/PID/task/TID/schedstat), and the number of
 * looks.
 */
#define _GNU_SOURCE
#include <err.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_int loop_tid;
static atomic_bool ended;

static void bind_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "CPU %d", cpu);
}

static void *loop(void *unused)
{
	bind_to(1);
	loop_tid = (int)syscall(SYS_gettid);
	while (!ended)
		;
	return NULL;
}

static unsigned long long read_clock(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now))
		err(1, "clock_gettime");
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static unsigned long long charged_ns(void)
{
	unsigned long long ns;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat", loop_tid);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%llu", &ns) != 1)
		err(1, "%s", path);
	fclose(file);
	return ns;
}

int main(int argc, char **argv)
{
	unsigned long long begin_ns, now_ns, busy_until_ns, begin_charged_ns, looks = 0;
	const unsigned long long ns = argc == 4 ? atoll(argv[1]) * 1000000000ull : 0;
	const struct timespec pause = { .tv_nsec = argc == 4 ? atol(argv[2]) * 1000 : 0 };
	const unsigned long long busy_ns = argc == 4 ? atoll(argv[3]) * 1000 : 0;
	pthread_t thread;
	clockid_t clock;

	if (!ns || !pause.tv_nsec)
		errx(2, "usage: remote_looks SECONDS SLEEP_US BUSY_US");
	bind_to(0);
	if (pthread_create(&thread, NULL, loop, NULL) || pthread_getcpuclockid(thread, &clock))
		errx(1, "no thread");
	while (!loop_tid)
		sched_yield();
	/* Reading its clock makes /proc show what it is charged by now. */
	read_clock(clock);
	begin_charged_ns = charged_ns();
	begin_ns = read_clock(CLOCK_MONOTONIC);
	do {
		nanosleep(&pause, NULL);
		read_clock(clock);
		looks++;
		now_ns = read_clock(CLOCK_MONOTONIC);
		busy_until_ns = now_ns + busy_ns;
		while (now_ns < busy_until_ns)
			now_ns = read_clock(CLOCK_MONOTONIC);
	} while (now_ns - begin_ns < ns);
	printf("%llu %llu %llu\n", now_ns - begin_ns, charged_ns() - begin_charged_ns, looks);
	ended = true;
	pthread_join(thread, NULL);
	return 0;
}
