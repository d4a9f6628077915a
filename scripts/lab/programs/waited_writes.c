// SPDX-License-Identifier: GPL-2.0-only
/*
 * waited_writes FILE NUMBER NAME: writes NUMBER bytes to FILE, one at a time. Before the next write
 * it waits for one more interrupt in the rows of /proc/interrupts that contain NAME, because a
 * device that takes two writes together raises one interrupt for both.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned long interrupts_of(const char *name)
{
	FILE *file = fopen("/proc/interrupts", "r");
	unsigned long sum = 0;
	char line[4096];

	if (!file) {
		perror("waited_writes: /proc/interrupts");
		exit(1);
	}
	while (fgets(line, sizeof(line), file)) {
		char *at = strchr(line, ':');
		char *end;

		if (!at || !strstr(line, name))
			continue;
		for (at++;; at = end) {
			unsigned long count = strtoul(at, &end, 10);

			if (end == at)
				break;
			sum += count;
		}
	}
	fclose(file);
	return sum;
}

int main(int argc, char **argv)
{
	int number, file;

	if (argc != 4) {
		fprintf(stderr, "usage: waited_writes FILE NUMBER NAME\n");
		return 2;
	}
	file = open(argv[1], O_WRONLY);
	for (number = atoi(argv[2]); number > 0; number--) {
		unsigned long before = interrupts_of(argv[3]);

		if (write(file, "x", 1) != 1) {
			perror("waited_writes: write");
			return 1;
		}
		while (interrupts_of(argv[3]) == before)
			;
	}
	return 0;
}
