#!/bin/sh
# Installs zegorelay where there is no package for it.
#
#   scripts/install.sh [--prefix DIR] [--root DIR] [BINARY]
#   scripts/install.sh [--prefix DIR] [--root DIR] --uninstall
#
# Without BINARY it builds one, with Go. --prefix is /usr/local; --root is put before
# every path, for images and tests. It may be run again: the program and the units
# are replaced, the configuration stays. --uninstall leaves the configuration, too.
set -eu
umask 022
source=$(dirname "$0")/..
prefix=/usr/local root='' binary='' uninstall=''

usage() {
	sed -n 's/^#   //p' "$0" >&2
	exit 2
}
while [ $# -gt 0 ]; do
	case $1 in
	--prefix) prefix=${2:?--prefix DIR} && shift ;;
	--root) root=${2:?--root DIR} && shift ;;
	--uninstall) uninstall=yes ;;
	-*) usage ;;
	*) [ -z "$binary" ] || usage && binary=$1 ;;
	esac
	shift
done

bin=$root$prefix/bin/zegorelay
man=$root$prefix/share/man/man8/zegorelay.8
share=$root$prefix/share/zegorelay
units=$root/etc/systemd/system
etc=$root/etc/zegorelay

# Under --root systemd is another machine's, or nobody's.
systemd() {
	[ -z "$root" ] && [ -d /run/systemd/system ]
}

# put MODE FILE PLACE: a program that is running can't be written to, only replaced.
put() {
	mkdir -p "$(dirname "$3")"
	install -m "$1" "$2" "$3.new"
	mv -f "$3.new" "$3"
}

if [ -n "$uninstall" ]; then
	if systemd; then
		systemctl disable --now zegorelay.socket zegorelay.service 2>/dev/null || true
	fi
	rm -f "$bin" "$man" "$units/zegorelay.service" "$units/zegorelay.socket"
	rm -rf "$share"
	if systemd; then systemctl daemon-reload; fi
	echo "zegorelay is removed; its configuration stays in $etc"
	exit
fi

work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
if [ -z "$binary" ]; then
	binary=$work/zegorelay
	"$source/scripts/build" "$binary"
fi
put 755 "$binary" "$bin"
"$source/scripts/manpage" >"$work/man"
put 644 "$work/man" "$man"
put 644 "$source/scripts/prometheus/alerts.yml" "$share/prometheus/alerts.yml"
put 644 "$source/scripts/grafana/zegorelay.json" "$share/grafana/zegorelay.json"

[ -e "$etc/zegorelay.env" ] || put 640 "$source/scripts/systemd/zegorelay.env" "$etc/zegorelay.env"
[ -e "$etc/server-secret" ] || put 600 /dev/null "$etc/server-secret"

if [ -n "$root" ] || command -v systemctl >/dev/null; then
	for unit in zegorelay.service zegorelay.socket; do
		sed "s|/usr/bin/zegorelay|$prefix/bin/zegorelay|" "$source/scripts/systemd/$unit" >"$work/unit"
		put 644 "$work/unit" "$units/$unit"
	done
	start='systemctl enable --now zegorelay'
else
	# What the unit would do.
	start="set -a; . $etc/zegorelay.env; ZEGORELAY_SERVER_SECRET_FILE=$etc/server-secret $prefix/bin/zegorelay run"
fi
if systemd; then systemctl daemon-reload; fi

cat <<END
zegorelay is installed: $bin
Fill in the AppID in $etc/zegorelay.env and the ServerSecret in $etc/server-secret, then
  $start
END
