// SPDX-License-Identifier: GPL-2.0-only
/*
 * at_once: asks kvmpv for the number of disruptions as soon as the host wants to know it.
 *
 *	at_once read	whenever the host has asked: reads clock/state, and answers
 *	at_once wait	waits for the next event by poll(2), and answers what the host has asked
 *	at_once event	says "waits", and ends with the next event; the host has no part in it
 *
 * Host and guest share the page whose physical address is printed first. The host may ask while the
 * guest is stopped; then the question is there with the guest's first instruction. `wait` writes a
 * line to the trace when it has seen the question, and one when it was woken. All of it runs on
 * CPU 1, and `wait` keeps that busy, so that the trace has its ticks.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STATE "/sys/kernel/debug/kvmpv/clock/state"
#define MARKER "/sys/kernel/tracing/instances/at_once/trace_marker"
#define PAGE 4096

/* tests/dialogue/at_once.py has the same. */
struct questions {
	_Atomic unsigned int asked; /* by the host: a number that it has not asked before */
	_Atomic unsigned int answered; /* the number of the last question that was answered */
	unsigned long long disruptions;
};

static struct questions *questions;
static unsigned int noted; /* the last question that was written to the trace */
static int state, marker;

static unsigned long long disruptions(void)
{
	char text[PAGE];
	ssize_t size = pread(state, text, sizeof(text) - 1, 0);
	const char *line;

	if (size < 0)
		err(1, STATE);
	text[size] = '\0';
	line = strstr(text, "\ndisruptions ");
	if (!line)
		errx(1, "no disruptions in " STATE);
	return strtoull(line + strlen("\ndisruptions "), NULL, 10);
}

static void answer(unsigned int asked)
{
	questions->disruptions = disruptions();
	questions->answered = asked;
}

static void note(const char *what, unsigned int number)
{
	if (dprintf(marker, "%s %u\n", what, number) < 0)
		err(1, MARKER);
}

/* The one who comes first writes it: the waiter interrupts the thread that keeps the CPU busy. */
static void note_question(unsigned int asked)
{
	if (noted == asked)
		return;
	noted = asked;
	note("asked", asked);
}

static void *keep_busy(void *unused)
{
	for (;;)
		if (questions->asked != noted)
			note_question(questions->asked);
	return NULL;
}

static void start_busy_thread(void)
{
	struct sched_param first = { .sched_priority = 1 };
	pthread_t thread;

	if (pthread_create(&thread, NULL, keep_busy, NULL))
		errx(1, "no thread");
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		err(1, "priority");
}

static void wait_for_events(void)
{
	struct pollfd event = { .fd = state, .events = POLLPRI };

	start_busy_thread();
	for (;;) {
		unsigned int asked;

		if (poll(&event, 1, -1) != 1 || !(event.revents & POLLPRI))
			err(1, "poll: %#x", event.revents);
		asked = questions->asked;
		if (asked != questions->answered) {
			note_question(asked);
			note("woken", asked);
			answer(asked);
		} else {
			disruptions(); /* what there is has been seen now */
		}
	}
}

static void wait_for_one(void)
{
	struct pollfd event = { .fd = state, .events = POLLPRI };

	puts("waits");
	fflush(stdout);
	if (poll(&event, 1, -1) != 1 || event.revents != (POLLPRI | POLLERR))
		err(1, "poll: %#x", event.revents);
}

static void read_when_asked(void)
{
	for (;;) {
		unsigned int asked = questions->asked;

		if (asked != questions->answered)
			answer(asked);
	}
}

static void share_page(void)
{
	int map = open("/proc/self/pagemap", O_RDONLY);
	unsigned long long entry;
	off_t offset;

	questions = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	if (questions == MAP_FAILED)
		err(1, "memory");
	questions->answered = 0;
	offset = (unsigned long)questions / PAGE * sizeof(entry);
	if (pread(map, &entry, sizeof(entry), offset) != sizeof(entry))
		err(1, "pagemap");
	close(map);
	printf("%#llx\n", (entry & ((1ull << 55) - 1)) * PAGE);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	cpu_set_t cpu_1;

	CPU_ZERO(&cpu_1);
	CPU_SET(1, &cpu_1);
	if (argc != 2 || sched_setaffinity(0, sizeof(cpu_1), &cpu_1))
		errx(2, "usage: at_once read|wait|event");
	state = open(STATE, O_RDONLY);
	if (state < 0)
		err(1, STATE);
	if (!strcmp(argv[1], "event")) {
		wait_for_one();
		return 0;
	}
	share_page();
	if (!strcmp(argv[1], "read"))
		read_when_asked();
	marker = open(MARKER, O_WRONLY);
	if (marker < 0)
		err(1, MARKER);
	wait_for_events();
	return 0;
}
