# Postfix as its package's postinst leaves it for an "Internet Site".
set -eu
cp /usr/share/postfix/main.cf.debian /etc/postfix/main.cf
cat /usr/share/postfix/main.cf.tls >>/etc/postfix/main.cf
cp /usr/share/postfix/master.cf.dist /etc/postfix/master.cf
: >/etc/postfix/dynamicmaps.cf
cd /var/spool/postfix
for folder in active bounce corrupt defer deferred flush hold incoming private saved trace; do
	mkdir -p "$folder"
	chown postfix:root "$folder"
	chmod 700 "$folder"
done
mkdir -p public maildrop pid /var/lib/postfix
chown postfix:postdrop public maildrop
chmod 2710 public
chmod 1730 maildrop
chown postfix:postfix /var/lib/postfix
chgrp postdrop /usr/sbin/postdrop /usr/sbin/postqueue
chmod 2555 /usr/sbin/postdrop /usr/sbin/postqueue

# The certificate that the package ssl-cert makes.
mkdir -p /etc/ssl/certs /etc/ssl/private
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=$LAB_HOST" \
	-keyout /etc/ssl/private/ssl-cert-snakeoil.key -out /etc/ssl/certs/ssl-cert-snakeoil.pem 2>/dev/null

postconf -e 'smtpd_relay_restrictions=permit_mynetworks permit_sasl_authenticated defer_unauth_destination' \
	"myhostname=$LAB_HOST" alias_maps=hash:/etc/aliases alias_database=hash:/etc/aliases myorigin=/etc/mailname \
	"mydestination=\$myhostname, $LAB_DOMAIN, localhost.localdomain, localhost" relayhost= \
	'mynetworks=127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128' mailbox_size_limit=0 recipient_delimiter=+ \
	inet_interfaces=all inet_protocols=all
# The laboratory's own: no syslog, and no patience.
postconf -e maillog_file=/var/log/mail.log queue_run_delay=4s minimal_backoff_time=5s maximal_backoff_time=10s
if [ "${LAB_INTERFACES:-}" ]; then
	# A receiver for many domains that keeps nothing, at these addresses only.
	postconf -e mynetworks=0.0.0.0/0 default_transport=discard: mydestination=
	postconf -MX smtp/inet
	for address in $LAB_INTERFACES; do
		echo "$address:25 inet n - y - - smtpd" >>/etc/postfix/master.cf
	done
fi
newaliases
/usr/lib/postfix/configure-instance.sh
exec postfix start-fg
