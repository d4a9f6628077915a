/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The two marks between which executed_plugin.c counts instructions. Each is a `nopl` with a
 * displacement that no compiler would choose. Without the plugin they do nothing.
 */
#pragma once

#define EXECUTED_MARK_SIZE 7
#define EXECUTED_BEGIN 0x0f, 0x1f, 0x80, 0x01, 0x76, 0x6d, 0x6b
#define EXECUTED_END 0x0f, 0x1f, 0x80, 0x02, 0x76, 0x6d, 0x6b

#define EXECUTED_TEXT_(...) #__VA_ARGS__
#define EXECUTED_TEXT(...) EXECUTED_TEXT_(__VA_ARGS__)

#define executed_begin() __asm__ volatile(".byte " EXECUTED_TEXT(EXECUTED_BEGIN)::: "memory")
#define executed_end() __asm__ volatile(".byte " EXECUTED_TEXT(EXECUTED_END)::: "memory")
