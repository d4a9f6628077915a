// SPDX-License-Identifier: GPL-2.0-only
/*
 * touch CPU PAGES: on that CPU, takes so many pages, and prints the number of each page's frame.
 * Then reads a line, and after that a byte of each page, in user space. Prints how many were as it
 * had left them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define FRAME_MASK ((1ull << 55) - 1)

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

/* Each has a page of its own, which stays where it is. */
static unsigned char *take(long pages, long size)
{
	unsigned char *memory = mmap(NULL, pages * size, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || madvise(memory, pages * size, MADV_NOHUGEPAGE)) {
		perror("mmap");
		exit(1);
	}
	for (long page = 0; page < pages; page++)
		memory[page * size] = (unsigned char)(page + 1);
	if (mlock(memory, pages * size)) {
		perror("mlock");
		exit(1);
	}
	return memory;
}

static void print_frames(const unsigned char *memory, long pages, long size)
{
	int map = open("/proc/self/pagemap", O_RDONLY);
	unsigned long long entry;

	for (long page = 0; page < pages; page++) {
		off_t at = ((uintptr_t)memory / size + page) * sizeof(entry);

		if (pread(map, &entry, sizeof(entry), at) != sizeof(entry)) {
			perror("/proc/self/pagemap");
			exit(1);
		}
		printf("%llu ", entry & FRAME_MASK);
	}
	printf("\n");
	fflush(stdout);
	close(map);
}

int main(int argc, char **argv)
{
	long size = sysconf(_SC_PAGESIZE);
	long pages = argc == 3 ? atol(argv[2]) : 0;
	unsigned char *memory;
	long right = 0;

	if (pages <= 0)
		return 1;
	move_to(atoi(argv[1]));
	memory = take(pages, size);
	print_frames(memory, pages, size);
	getchar();
	for (long page = 0; page < pages; page++)
		right += memory[page * size] == (unsigned char)(page + 1);
	printf("%ld\n", right);
	return 0;
}
