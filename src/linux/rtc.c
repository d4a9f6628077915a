// SPDX-License-Identifier: GPL-2.0-only
/*
 * The real-time clock, through the kernel's driver.
 */
#include <linux/rtc.h>

#include <kvmpv/boundary.h>

int linux_rtc_read(u64 *seconds)
{
#ifdef CONFIG_RTC_CLASS
	struct rtc_device *rtc = rtc_class_open("rtc0");
	struct rtc_time time;
	int error;

	if (!rtc)
		return -ENODEV;
	error = rtc_read_time(rtc, &time);
	if (!error)
		*seconds = rtc_tm_to_time64(&time);
	rtc_class_close(rtc);
	return error;
#else
	return -ENODEV;
#endif
}
