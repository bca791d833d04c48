# A machine of the laboratory: a private view of this machine's files with a server's packages on top, then its start.
# Runs in mount, network, process and host name namespaces of its own; all of it is gone when its processes are.
set -eu
# The laboratory gives us a network first.
read -r _

root=$LAB_MOUNT/root
mount -t tmpfs -o size=1g,mode=755 lab "$LAB_MOUNT"
mkdir "$LAB_MOUNT/upper" "$LAB_MOUNT/work" "$root"
cp -a "$LAB_TREE/." "$LAB_MOUNT/upper/"
mount -t overlay lab -o "lowerdir=/,upperdir=$LAB_MOUNT/upper,workdir=$LAB_MOUNT/work" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
# Nothing of this machine's own mail is seen in here.
for folder in run var/spool var/mail var/log home; do
	mkdir -p "$root/$folder"
	mount -t tmpfs -o mode=755 lab "$root/$folder"
done
mount -t tmpfs -o mode=1777 lab "$root/tmp"
if [ -d "$LAB_TREE/var/spool" ]; then
	cp -a "$LAB_TREE/var/spool/." "$root/var/spool/"
fi
mkdir "$root/run/lab"
cp "$LAB_SCRIPTS/$LAB_START" "$root/run/lab/start.sh"
cd "$root"

echo "$LAB_HOST" >/proc/sys/kernel/hostname
echo "$LAB_HOST" >etc/mailname
# A link to a resolver's own file would lead out of here.
rm -f etc/resolv.conf
echo "nameserver $LAB_DNS" >etc/resolv.conf
case $LAB_HOST in
localhost*) echo "127.0.0.1 $LAB_HOST localhost" >etc/hosts ;;
*.*) printf '127.0.0.1 localhost\n%s %s %s\n' "$LAB_ADDRESS" "$LAB_HOST" "${LAB_HOST%%.*}" >etc/hosts ;;
*) printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$LAB_HOST" >etc/hosts ;;
esac
printf 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n' >etc/nsswitch.conf
printf 'mailer-daemon: postmaster\npostmaster: root\nroot: user00\n' >etc/aliases

# The users that the packages' scripts make, and people with mailboxes.
for file in passwd group shadow; do
	grep -Ev '^(postfix|postdrop|Debian-exim|opensmtpd|opensmtpq|user[0-9][0-9]):' "etc/$file" >"tmp/$file" || true
	cat "tmp/$file" >"etc/$file"
done
cat >>etc/passwd <<END
postfix:x:5101:5101::/var/spool/postfix:/usr/sbin/nologin
Debian-exim:x:5103:5103::/var/spool/exim4:/usr/sbin/nologin
opensmtpd:x:5104:5104:OpenSMTPD Daemon:/var/lib/opensmtpd/empty:/usr/sbin/nologin
opensmtpq:x:5105:5105:OpenSMTPD queue user:/var/lib/opensmtpd/empty:/usr/sbin/nologin
END
cat >>etc/group <<END
postfix:x:5101:
postdrop:x:5102:
Debian-exim:x:5103:
opensmtpd:x:5104:
opensmtpq:x:5105:
END
chown root:mail var/mail
chmod 2775 var/mail
n=0
while [ "$n" -lt "$LAB_USERS" ]; do
	user=$(printf 'user%02d' "$n")
	id=$((5200 + n))
	echo "$user:x:$id:$id::/var/spool/lab/$user:/bin/sh" >>etc/passwd
	echo "$user:x:$id:" >>etc/group
	mkdir -p "var/spool/lab/$user"
	chown "$id:$id" "var/spool/lab/$user"
	n=$((n + 1))
done

export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root
exec chroot . sh /run/lab/start.sh
