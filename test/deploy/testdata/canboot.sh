#!/bin/sh
# Makes what boot.sh makes first, to see that it can: canboot.sh CGROUP DIRECTORY.
# Nothing of it stays.
set -eu
if [ "${3:-}" != inside ]; then
    mkdir "$1"
    rmdir "$1"
    exec unshare --mount --pid --fork --kill-child --ipc --uts --net --cgroup "$0" "$1" "$2" inside
fi
mount --make-rprivate /
mount -t tmpfs tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay -o "lowerdir=/,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
mount -t proc proc "$2/root/proc"
mount -t sysfs -o ro sysfs "$2/root/sys"
mount -t cgroup2 cgroup2 "$2/root/sys/fs/cgroup"
