// SPDX-License-Identifier: GPL-2.0-only
/*
 * ptp_stamps DEVICE precise|sampled: asks a PTP clock for its time and the system's time at the
 * same moment, and compares the answer with the system's clocks around the call. Prints `ok
 * OFFSET_NS WIDTH_NS`, the device minus CLOCK_REALTIME and the uncertainty of that, or the name of
 * the errno. Exits with 0 unless an answer is not sane.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/ptp_clock.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

typedef long long ns_t;

static ns_t now_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static ns_t ptp_ns(const struct ptp_clock_time *time)
{
	return time->sec * 1000000000LL + time->nsec;
}

static int is_between(const char *what, ns_t before, ns_t value, ns_t after)
{
	if (before <= value && value <= after)
		return 1;
	printf("%s %lld is not between %lld and %lld\n", what, value, before, after);
	return 0;
}

/* The moment may lie just before the kernel's last update of its time, which gives EINVAL. */
#define TRIES 100

static int precise(int file)
{
	struct ptp_sys_offset_precise answer;
	ns_t real, raw, real_after, raw_after;
	int i;

	for (i = 0; i < TRIES; i++) {
		memset(&answer, 0, sizeof(answer));
		real = now_ns(CLOCK_REALTIME);
		raw = now_ns(CLOCK_MONOTONIC_RAW);
		if (ioctl(file, PTP_SYS_OFFSET_PRECISE, &answer) == 0)
			break;
		if (errno != EINVAL) {
			puts(strerrorname_np(errno));
			return 0;
		}
	}
	if (i == TRIES) {
		puts("EINVAL");
		return 1;
	}
	raw_after = now_ns(CLOCK_MONOTONIC_RAW);
	real_after = now_ns(CLOCK_REALTIME);
	if (!is_between("sys_realtime", real, ptp_ns(&answer.sys_realtime), real_after) ||
	    !is_between("sys_monoraw", raw, ptp_ns(&answer.sys_monoraw), raw_after))
		return 1;
	printf("ok %lld 0\n", ptp_ns(&answer.device) - ptp_ns(&answer.sys_realtime));
	return 0;
}

/* The system's time before and after each read of the device. Takes the narrowest of several. */
static int sampled(int file)
{
	struct ptp_sys_offset answer;
	ns_t best_width = -1, best_offset = 0;
	ns_t real = now_ns(CLOCK_REALTIME), real_after;
	unsigned int i;

	memset(&answer, 0, sizeof(answer));
	answer.n_samples = PTP_MAX_SAMPLES;
	if (ioctl(file, PTP_SYS_OFFSET, &answer) != 0) {
		puts(strerrorname_np(errno));
		return 0;
	}
	real_after = now_ns(CLOCK_REALTIME);
	for (i = 0; i < answer.n_samples; i++) {
		ns_t before = ptp_ns(&answer.ts[2 * i]);
		ns_t after = ptp_ns(&answer.ts[2 * i + 2]);

		if (!is_between("a sample", real, before, after) ||
		    !is_between("a sample", before, after, real_after))
			return 1;
		if (best_width >= 0 && after - before >= best_width)
			continue;
		best_width = after - before;
		best_offset = ptp_ns(&answer.ts[2 * i + 1]) - (before + best_width / 2);
	}
	printf("ok %lld %lld\n", best_offset, best_width);
	return best_width < 0;
}

int main(int count, char **words)
{
	int file;

	if (count != 3)
		return 2;
	file = open(words[1], O_RDONLY);
	if (file < 0) {
		puts(strerrorname_np(errno));
		return 1;
	}
	return strcmp(words[2], "precise") == 0 ? precise(file) : sampled(file);
}
