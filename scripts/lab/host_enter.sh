#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Mounts the machine's own root, read-only, at /root of the emulated KVM host, with the kernel's file systems of the host.
set -e

mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 machine /root
for folder in dev proc sys; do mount -o rbind /$folder /root/$folder; done
# The only place that can be written to. It hides nothing: the machine's own /dev is not to be seen here anyway.
mkdir /dev/shm
mount -t tmpfs tmpfs /dev/shm
