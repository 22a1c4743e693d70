#!/bin/sh
# Boots systemd as process 1 of its own namespaces: boot.sh CGROUP ROOT SHARED. Its
# system is this machine's, under an overlay in memory that is gone at the end, with no
# units but those that a service needs; SHARED is at /srv. No kernel setting, device,
# network or cgroup of this machine is its to change.
set -eu
if [ "${4:-}" != inside ]; then
    mkdir -p "$1" "$2"
    echo $$ >"$1/cgroup.procs"
    exec unshare --mount --pid --fork --kill-child --ipc --uts --net --cgroup "$0" "$1" "$2" "$3" inside
fi
top=$2
mount --make-rprivate /
mount -t tmpfs tmpfs "$top"
mkdir "$top/upper" "$top/work" "$top/root"
root=$top/root
mount -t overlay -o "lowerdir=/,upperdir=$top/upper,workdir=$top/work" overlay "$root"

mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for dir in run tmp dev var/tmp; do
    mount -t tmpfs -o mode=0755 tmpfs "$root/$dir"
done
chmod 1777 "$root/tmp" "$root/var/tmp"
for device in null zero full random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s pts/ptmx "$root/dev/ptmx"
mkdir "$root/dev/pts" "$root/dev/shm" "$root/run/lock"
mount --bind "$3" "$root/srv"

# Nothing of its own is started: neither by units nor by the scripts of old.
rm -rf "$root/etc/systemd/system" "$root/usr/lib/systemd/system-generators" "$root/usr/sbin/policy-rc.d" "$root/var/log/journal"
mkdir "$root/etc/systemd/system"
cd "$root/usr/lib/systemd/system"
mkdir "$top/keep"
for unit in basic multi-user sysinit sockets timers paths slices swap local-fs local-fs-pre network network-online \
    network-pre shutdown umount final rescue emergency time-set nss-user-lookup; do
    if [ -e "$unit.target" ]; then cp "$unit.target" "$top/keep"; fi
done
cp systemd-journald.service systemd-journald.socket systemd-journald-dev-log.socket "$top/keep"
cd /
rm -rf "$root/usr/lib/systemd/system"
mv "$top/keep" "$root/usr/lib/systemd/system"
mkdir "$root/usr/lib/systemd/system/sockets.target.wants" "$root/usr/lib/systemd/system/sysinit.target.wants"
ln -s ../systemd-journald.socket ../systemd-journald-dev-log.socket "$root/usr/lib/systemd/system/sockets.target.wants/"
ln -s ../systemd-journald.service "$root/usr/lib/systemd/system/sysinit.target.wants/"

# dpkg need not read of all that this machine has: it knows but what altagate depends on.
if dpkg-query --status adduser >"$top/status"; then
    mount -t tmpfs tmpfs "$root/var/lib/dpkg"
    mkdir "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/triggers"
    touch "$root/var/lib/dpkg/info/adduser.list"
    mv "$top/status" "$root/var/lib/dpkg/status"
fi

ip link set lo up
mkdir "$root/old"
cd "$root"
pivot_root . old
umount -l /old
rmdir /old
# As on a real machine: credentials reach their service by it.
mount --make-rshared /
exec env -i container=altagate-test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=multi-user.target --log-target=journal --show-status=no </dev/null
