// SPDX-License-Identifier: GPL-2.0-only
/*
 * mark PORT FILE BEFORE AFTER: writes a byte to an I/O port, which the host sees. Saves FILE right
 * before that as BEFORE and right after it as AFTER. At the moment from which the host counts, FILE
 * showed something between the two.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Larger than the file, which is made at the first read and so has to be read at once. */
static char before[1 << 16], after[1 << 16];

static ssize_t read_all(const char *name, char *into, size_t room)
{
	int file = open(name, O_RDONLY);
	ssize_t length = file < 0 ? -1 : read(file, into, room);

	if (length >= 0)
		close(file);
	return length;
}

static int write_all(const char *name, const char *from, ssize_t length)
{
	int file = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	return file >= 0 && write(file, from, length) == length && close(file) == 0;
}

int main(int argc, char **argv)
{
	ssize_t length_before, length_after, written;
	int ports;

	if (argc != 5) {
		fprintf(stderr, "usage: mark PORT FILE BEFORE AFTER\n");
		return 2;
	}
	/* Not iopl(), which QEMU 7.2 does not support in a guest of an emulated host. */
	ports = open("/dev/port", O_WRONLY);
	/* A dry run first, so that nothing happens for the first time between the two. */
	read_all(argv[2], after, sizeof(after));
	length_before = read_all(argv[2], before, sizeof(before));
	written = pwrite(ports, "x", 1, atoi(argv[1]));
	length_after = read_all(argv[2], after, sizeof(after));
	if (written != 1 || length_before < 0 || length_after < 0 || !write_all(argv[3], before, length_before) ||
	    !write_all(argv[4], after, length_after)) {
		perror("mark");
		return 1;
	}
	return 0;
}
