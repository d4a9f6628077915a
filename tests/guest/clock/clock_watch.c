// SPDX-License-Identifier: GPL-2.0-only
/*
 * clock_watch: reads CLOCK_MONOTONIC without a pause, by system call and by the vDSO. On SIGUSR1 it
 * prints a line with what it has seen since the last line. SIGTERM ends it.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct seen {
	long long last_ns;
	long reads;
	long backward;
	long long backward_ns; /* the largest step back */
	long long gap_ns; /* the longest time between two reads */
};

static volatile sig_atomic_t report;
static volatile sig_atomic_t end;

static void on_signal(int number)
{
	if (number == SIGTERM)
		end = 1;
	report = 1;
}

static long long ns(const struct timespec *time)
{
	return time->tv_sec * 1000000000LL + time->tv_nsec;
}

static void see(struct seen *seen, long long now_ns)
{
	long long step = now_ns - seen->last_ns;

	if (seen->reads++ && step < 0) {
		seen->backward++;
		if (-step > seen->backward_ns)
			seen->backward_ns = -step;
	}
	if (seen->reads > 1 && step > seen->gap_ns)
		seen->gap_ns = step;
	seen->last_ns = now_ns;
}

static void print(const char *how, struct seen *seen)
{
	printf(" %s_reads %ld %s_backward %ld %s_backward_ns %lld %s_gap_ns %lld", how, seen->reads,
	       how, seen->backward, how, seen->backward_ns, how, seen->gap_ns);
	*seen = (struct seen){ .last_ns = seen->last_ns, .reads = 1 };
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct seen kernel = { 0 }, user = { 0 };
	long long first_ns = 0;
	int number = 0;

	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	while (!end) {
		struct timespec now;

		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
		see(&kernel, ns(&now));
		clock_gettime(CLOCK_MONOTONIC, &now);
		see(&user, ns(&now));
		if (!first_ns)
			first_ns = kernel.last_ns;
		if (!report)
			continue;
		report = 0;
		printf("%d", ++number);
		print("kernel", &kernel);
		print("user", &user);
		printf(" passed_ns %lld\n", kernel.last_ns - first_ns);
		fflush(stdout);
		first_ns = kernel.last_ns;
	}
	return 0;
}
