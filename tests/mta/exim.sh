# Exim as its packages' postinst scripts leave it for an "internet site".
set -eu
install -d -o Debian-exim -g adm -m 2750 /var/log/exim4
install -d -o Debian-exim -g Debian-exim -m 750 /run/exim4 /var/spool/exim4 /var/spool/exim4/db \
	/var/spool/exim4/input /var/spool/exim4/msglog
mkdir -p /var/lib/exim4
cat >/etc/exim4/update-exim4.conf.conf <<END
dc_eximconfig_configtype='internet'
dc_other_hostnames='$LAB_DOMAIN'
dc_local_interfaces=''
dc_readhost=''
dc_relay_domains=''
dc_minimaldns='false'
dc_relay_nets=''
dc_smarthost=''
CFILEMODE='644'
dc_use_split_config='false'
dc_hide_mailname=''
dc_mailname_in_oh='true'
dc_localdelivery='mail_spool'
END
# The laboratory's own: no patience.
sed -i 's/F,2h,15m; G,16h,1h,1.5; F,4d,6h/F,2h,4s/' /etc/exim4/exim4.conf.template
update-exim4.conf
exec exim4 -bdf -q4s
