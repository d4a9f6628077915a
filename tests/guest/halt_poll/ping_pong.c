// SPDX-License-Identifier: GPL-2.0-only
/*
 * ping_pong ROUNDS: a thread on CPU 0 and one on CPU 1 wake each other in turns, so that each CPU
 * halts once in each round, for as long as the other one takes.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int there[2], back[2];
static long rounds;

static void move_to(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus)) {
		perror("sched_setaffinity");
		exit(1);
	}
}

static void pass(int from, int to)
{
	char ball;

	if (read(from, &ball, 1) != 1 || write(to, &ball, 1) != 1) {
		perror("the ball is lost");
		exit(1);
	}
}

static void *other(void *unused)
{
	(void)unused;
	move_to(1);
	for (long round = 0; round < rounds; round++)
		pass(there[0], back[1]);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	rounds = argc == 2 ? atol(argv[1]) : 0;
	if (rounds <= 0 || pipe(there) || pipe(back) ||
	    pthread_create(&thread, NULL, other, NULL))
		return 1;
	move_to(0);
	if (write(there[1], "o", 1) != 1)
		return 1;
	for (long round = 1; round < rounds; round++)
		pass(back[0], there[1]);
	pthread_join(thread, NULL);
	return 0;
}
