# The user before the files, so that the configuration can be its group's.
if ! getent passwd botlike >/dev/null; then
	getent group botlike >/dev/null || groupadd --system botlike
	useradd --system --gid botlike --home-dir /nonexistent --no-create-home --shell /sbin/nologin \
		--comment "SMTP network sensor" botlike
fi
exit 0
