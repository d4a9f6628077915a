// SPDX-License-Identifier: GPL-2.0-only
/*
 * msrs NAME=NUMBER...: a line for each register, its name and then the values of the CPUs that are online, read by
 * the kernel's msr driver. It prints them as rdmsr of msr-tools does. But rdmsr is a process for each register, and the
 * tests look at eleven of them several times in every guest. slot/msr_tools.sh holds the two against each other.
 */
#define _GNU_SOURCE /* versionsort */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CPUS 256

static int is_number(const struct dirent *entry)
{
	return entry->d_name[0] >= '0' && entry->d_name[0] <= '9';
}

/* One register of all CPUs, into a line. A CPU that cannot read it makes it unreadable, as for rdmsr. */
static void print_msr(const char *name, uint32_t number, const int *cpus, int count)
{
	uint64_t values[CPUS];

	for (int i = 0; i < count; i++) {
		if (pread(cpus[i], &values[i], sizeof(values[i]), number) != sizeof(values[i])) {
			printf("%s unreadable\n", name);
			return;
		}
	}
	printf("%s", name);
	for (int i = 0; i < count; i++)
		printf(" 0x%llx", (unsigned long long)values[i]);
	printf("\n");
}

int main(int argc, char **argv)
{
	struct dirent **entries;
	int cpus[CPUS];
	int count = scandir("/dev/cpu", &entries, is_number, versionsort);

	if (count < 1 || count > CPUS) {
		fprintf(stderr, "msrs: %d CPUs in /dev/cpu\n", count);
		return 1;
	}
	for (int i = 0; i < count; i++) {
		char path[300];

		snprintf(path, sizeof(path), "/dev/cpu/%s/msr", entries[i]->d_name);
		cpus[i] = open(path, O_RDONLY);
		if (cpus[i] < 0) {
			perror(path);
			return 1;
		}
	}
	for (int i = 1; i < argc; i++) {
		char *number = strchr(argv[i], '=');

		if (!number) {
			fprintf(stderr, "msrs: %s is no NAME=NUMBER\n", argv[i]);
			return 1;
		}
		*number++ = '\0';
		print_msr(argv[i], strtoul(number, NULL, 0), cpus, count);
	}
	return 0;
}
