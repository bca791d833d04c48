# Whether a service is enabled is the distribution's choice (presets); it is started by hand.
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || :
fi
if [ "$1" -eq 1 ] && command -v systemctl >/dev/null; then
	systemctl preset botlike.service >/dev/null 2>&1 || :
fi
exit 0
