// SPDX-License-Identifier: GPL-2.0-only
/*
 * clock_reads COUNT: reads CLOCK_MONOTONIC COUNT times. Prints how many reads were below the one
 * before, and how long a read took.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char **argv)
{
	long count = argc == 2 ? atol(argv[1]) : 0;
	long long first, before;
	long backward = 0;
	long i;

	if (count < 1) {
		fprintf(stderr, "usage: clock_reads COUNT\n");
		return 2;
	}
	first = before = now_ns();
	for (i = 0; i < count; i++) {
		long long now = now_ns();

		backward += now < before;
		before = now;
	}
	printf("reads %ld backward %ld ns_per_read %.1f\n", count, backward,
	       (double)(before - first) / count);
	return 0;
}
