// SPDX-License-Identifier: GPL-2.0-only
/*
 * ping_pong CPU BATCHES TRIPS: two threads on one CPU send a byte back and forth through two pipes,
 * so that each trip is two context switches. Prints how long a trip took in the median of BATCHES
 * batches of TRIPS trips each.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "executed.h"

static int there[2], back[2];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Runs until the other end is closed. */
static void *answer_all(void *unused)
{
	char byte;

	while (read(there[0], &byte, 1) == 1)
		if (write(back[1], &byte, 1) != 1)
			fail("write");
	return unused;
}

static void trip(void)
{
	char byte = 0;

	if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
		fail("trip");
}

static double ns_per_trip(long trips)
{
	long long begin_ns = now_ns();
	long i;

	executed_begin();
	for (i = 0; i < trips; i++)
		trip();
	executed_end();
	return (double)(now_ns() - begin_ns) / trips;
}

static int ascending(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
	long batches = argc == 4 ? atol(argv[2]) : 0;
	long trips = argc == 4 ? atol(argv[3]) : 0;
	pthread_t answerer;
	double *batch_ns;
	cpu_set_t cpus;
	long i;

	if (batches < 1 || trips < 1) {
		fprintf(stderr, "usage: ping_pong CPU BATCHES TRIPS\n");
		return 2;
	}
	CPU_ZERO(&cpus);
	CPU_SET(atoi(argv[1]), &cpus);
	batch_ns = calloc(batches, sizeof(*batch_ns));
	if (!batch_ns || sched_setaffinity(0, sizeof(cpus), &cpus) || pipe(there) || pipe(back) ||
	    pthread_create(&answerer, NULL, answer_all, NULL))
		fail("ping_pong");
	/* Warms both threads up. */
	ns_per_trip(trips);
	for (i = 0; i < batches; i++)
		batch_ns[i] = ns_per_trip(trips);
	close(there[1]);
	pthread_join(answerer, NULL);
	qsort(batch_ns, batches, sizeof(*batch_ns), ascending);
	printf("trips %ld ns_per_trip %.1f\n", batches * trips, batch_ns[batches / 2]);
	return 0;
}
