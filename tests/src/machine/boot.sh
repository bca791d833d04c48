# The inside of a machine: run by `unshare` in new mount, UTS, IPC, process, network and cgroup namespaces.
# $1: the tree, $2: a folder to mount on, $3: a file that goes in as /srv/package.deb
set -e
base=$1 here=$2 package=$3

mount --make-rprivate /
# Changes stay in memory and go with the namespace.
mount -t tmpfs -o mode=0755 machine "$here"
mkdir "$here/changes" "$here/work" "$here/root"
root=$here/root
if ! mount -t overlay -o "lowerdir=$base,upperdir=$here/changes,workdir=$here/work" overlay "$root" 2>/dev/null; then
	mount --bind "$root" "$root"
	cp -a "$base/." "$root/"
fi
cp "$package" "$root/srv/package.deb"

mount -t proc proc "$root/proc"
# What is not a namespace's own is not this machine's to set.
for path in sys irq bus sysrq-trigger; do
	[ -e "$root/proc/$path" ] || continue
	mount --bind "$root/proc/$path" "$root/proc/$path"
	mount -o remount,bind,ro "$root/proc/$path"
done
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=0755 devices "$root/dev"
for name in null zero full random urandom tty; do
	: >"$root/dev/$name"
	mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=0755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"

cd "$root"
mkdir run/before
pivot_root . run/before
umount -l /run/before
rmdir /run/before
hostname mx1
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb /lib/systemd/systemd --log-level=notice --log-target=console
