# OpenSMTPD with its package's smtpd.conf, changed as the comments in it say to receive mail from outside
# ("listen on all", says one of them, which smtpd itself does not know).
set -eu
chgrp opensmtpq /usr/sbin/smtpctl
chmod 2755 /usr/sbin/smtpctl
sed -i -e 's/^listen on localhost/listen on 0.0.0.0/' \
	-e "s/^# match from any for domain \"example.org\" action \"local\"/match from any for domain \"$LAB_DOMAIN\" action \"local\"/" \
	/etc/smtpd.conf
grep -q '^match from any' /etc/smtpd.conf
# The laboratory's own: no patience. Its first retry would be after 400 seconds, which is not a setting.
(while sleep 5; do smtpctl schedule all >/dev/null 2>&1 || true; done) &
exec smtpd -d
